"""A stand-in for the Codegen API on loopback, made from its published reference; its limits are scaled down in time."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from agents_app.backends.base import Answer, BackendError, Request
from agents_app.backends.codegen import CodegenBackend
from agents_app.backends.wire.allowance import Limit
from agents_app.backends.wire.codegen.watch import Pace

from .recorder import Recorder

KEY = "cg-do-not-show-me-to-anybody"
ORG = 323
CREATE, READ, LOGS = "create", "read", "logs"
# As published, sixty times as fast.
LIMITS: Mapping[str, Limit] = {CREATE: Limit(10, 1.0), READ: Limit(60, 0.5), LOGS: Limit(60, 1.0)}
FAST = Pace(first=0.01, growth=1.5, longest=0.03, patience=(0.01, 0.02, 0.03), settle=0.3, within=5.0, rest=2.0)
RUN = f"/v1/organizations/{ORG}/agent/run"
ALPHA = f"/v1/alpha/organizations/{ORG}/agent/run"

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def state(status: str | None, result: str | None = None, **more: Any) -> dict[str, Any]:
    """What a look at a run shows, besides what never changes."""
    return {"status": status, "result": result, **more}


def done(result: str = "Done.", **more: Any) -> list[dict[str, Any]]:
    """The states of a run that ends well after two looks."""
    return [state("ACTIVE"), state("ACTIVE"), state("COMPLETE", result, **more)]


@dataclass
class ScriptedRun:
    """One run: each look at it shows the next of `states`; the last one stays."""

    id: int
    states: deque[dict[str, Any]]
    metadata: dict[str, Any] | None = None
    logs: list[Any] = field(default_factory=list)

    def look(self) -> dict[str, Any]:
        """An AgentRunResponse."""
        shown = self.states.popleft() if len(self.states) > 1 else self.states[0]
        return {
            "id": self.id,
            "organization_id": ORG,
            "created_at": "2025-10-07T00:27:49Z",
            "web_url": f"https://codegen.com/agent/trace/{self.id}",
            "summary": None,
            "source_type": "API",
            "github_pull_requests": [],
            "metadata": self.metadata,
            **shown,
        }


@dataclass
class CodegenServer:
    """The server: what its next runs will do, what goes wrong, and what it was asked.

    `plays` are the states of the runs created or resumed next (`done()` where there are none), `faults` answer in the
    place of the next requests of a kind, `too_many` counts what went over a limit.
    """

    url: str = ""
    limits: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)
    runs: dict[int, ScriptedRun] = field(default_factory=dict)
    plays: deque[list[dict[str, Any]]] = field(default_factory=deque)
    faults: dict[str, deque[Answering]] = field(default_factory=lambda: {k: deque() for k in (CREATE, READ, LOGS)})
    created: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    too_many: int = 0
    live: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    watched: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: dict[str, deque[float]] = field(default_factory=lambda: {k: deque() for k in (CREATE, READ, LOGS)})

    def add(self, *states: dict[str, Any], logs: int = 0, **metadata: Any) -> ScriptedRun:
        """A run that is there already."""
        run = ScriptedRun(101 + len(self.runs), deque(states), metadata or None, [entry(n) for n in range(logs)])
        self.runs[run.id] = run
        return run

    def looks(self, run_id: int) -> int:
        """How often somebody looked at that run."""
        return self.asked.count(f"GET {RUN}/{run_id}")

    def routes(self) -> list[web.RouteDef]:
        """The part of the API that an agent needs."""
        return [
            web.post(RUN, self._kind(CREATE, self._create)),
            web.post(f"{RUN}/resume", self._kind(CREATE, self._resume)),
            web.get(f"{RUN}s", self._kind(READ, self._list)),
            web.get(RUN + "/{run}", self._kind(READ, self._get)),
            web.get(ALPHA + "/{run}/logs", self._kind(LOGS, self._logs)),
        ]

    def _kind(self, kind: str, handler: Answering) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            self.headers.append(dict(request.headers))
            self.live += 1
            (self.watched if kind == READ else self.reached).set()
            try:
                if self._over(kind):
                    self.too_many += 1
                    return refusal(429, "Rate limit exceeded. Please try again later.")
                if request.headers.get("Authorization") != f"Bearer {KEY}":
                    return refusal(403, "You do not have access to this organization.")
                return await (self.faults[kind].popleft() if self.faults[kind] else handler)(request)
            finally:
                self.live -= 1

        return answer

    def _over(self, kind: str) -> bool:
        """Whether this is one too many in the last window; what is refused counts too."""
        limit, seen, now = self.limits[kind], self._seen[kind], time.monotonic()
        while seen and seen[0] <= now - limit.seconds:
            seen.popleft()
        seen.append(now)
        return len(seen) > limit.count

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not isinstance(body.get("prompt"), str):
            return invalid("prompt")
        self.created.append(body)
        run = self.add(*(self.plays.popleft() if self.plays else done()))
        run.metadata = body.get("metadata")
        return web.json_response(run.look())

    async def _resume(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.resumed.append(body)
        run = self.runs.get(body["agent_run_id"])
        if run is None:
            return refusal(404, "Agent run not found.")
        run.states = deque(self.plays.popleft() if self.plays else done())
        return web.json_response(run.look())

    async def _get(self, request: web.Request) -> web.StreamResponse:
        run = self.runs.get(int(request.match_info["run"]))
        return web.json_response(run.look()) if run else refusal(404, "Agent run not found.")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        found = [run.look() for run in reversed(self.runs.values())][: int(request.query["limit"])]
        return web.json_response({"items": found, "total": len(self.runs), "page": 1, "size": 100, "pages": 1})

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        run, skip, limit = self.runs[int(request.match_info["run"])], *map(int, (request.query[n] for n in PAGING))
        if not 1 <= limit <= 100:
            return invalid("limit")
        page = run.logs[skip : skip + limit]
        return web.json_response({"id": run.id, "organization_id": ORG, "logs": page, "total_logs": len(run.logs)})


PAGING = ("skip", "limit")


def entry(number: int, **more: Any) -> dict[str, Any]:
    """A log's entry."""
    told = {"agent_run_id": 1, "message_type": "ACTION", "tool_name": "ripgrep_search", "thought": f"step {number}"}
    return {**told, "observation": None, "tool_input": {"query": "x"}, "tool_output": None, **more}


def refusal(status: int, message: str, **headers: str) -> web.Response:
    """An error in the API's own form."""
    return web.json_response({"message": message, "status_code": status}, status=status, headers=headers)


def invalid(field_name: str) -> web.Response:
    """A validation error, which has another form."""
    problem = {"loc": ["body", field_name], "msg": "Field required", "type": "missing"}
    return web.json_response({"detail": [problem]}, status=422)


def fault(status: int, message: str = "", **headers: str) -> Answering:
    """Answers with an error."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return refusal(status, message, **headers)

    return answer


def says(body: Any) -> Answering:
    """Answers with a document, or a text that may be none."""

    async def answer(request: web.Request) -> web.StreamResponse:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, content_type="application/json")

    return answer


async def goes_away(request: web.Request) -> web.StreamResponse:
    """The connection breaks."""
    assert request.transport
    request.transport.abort()
    return web.Response()


async def hangs(request: web.Request) -> web.StreamResponse:
    """No answer, for as long as anybody waits."""
    await asyncio.Event().wait()
    return web.Response()


@asynccontextmanager
async def codegen(**fields: Any) -> AsyncIterator[CodegenServer]:
    """Serve the API."""
    server = CodegenServer(**fields)
    app = web.Application(client_max_size=10_000_000)
    app.router.add_routes(server.routes())
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


def message(content: str = "Hello", task_id: str = "task_1", **more: Any) -> Request:
    """A session's message for an agent."""
    more = {"session_id": "session_1", "is_message": True} | more
    return Request(task_id, "org_1", "agent_1", "message", content, **more)


def task(content: str = "Add a test", task_id: str = "task_1", **more: Any) -> Request:
    """A task of no session."""
    return Request(task_id, "org_1", "agent_1", "code_generation", content, **more)


def config(server: CodegenServer, **more: Any) -> dict[str, Any]:
    """An agent's configuration that points at the stand-in."""
    return {"baseUrl": server.url, "apiKey": KEY, "orgId": ORG, **more}


def backend(pace: Pace = FAST) -> CodegenBackend:
    """A backend that is as fast as the stand-in."""
    return CodegenBackend(limits=LIMITS, pace=pace)


async def work(server: CodegenServer, request: Request | None = None, **more: Any) -> tuple[Answer, Recorder]:
    """Have one request worked on by a fresh backend; `more` is of the configuration."""
    recorder, asked = Recorder(), request or message()
    answer = await backend().run(replace(asked, config=config(server, **more)), recorder)
    return answer, recorder


async def fail(server: CodegenServer, request: Request | None = None, **pace: Any) -> tuple[BackendError, Recorder]:
    """Have one request fail."""
    recorder = Recorder()
    try:
        await backend(replace(FAST, **pace)).run(replace(request or message(), config=config(server)), recorder)
    except BackendError as error:
        return error, recorder
    raise AssertionError("it was answered")


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come about within seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.005)
