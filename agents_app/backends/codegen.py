"""The Codegen API: an agent run on Codegen's machines, followed until it has ended. The API cannot cancel a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from .base import Answer, BackendError, Json, Reporter, Request, Unready
from .wire.allowance import Allowances, Limit
from .wire.codegen.account import CodegenAccount
from .wire.codegen.api import PUBLISHED, CodegenApi
from .wire.codegen.memory import Memory
from .wire.codegen.prompt import follow_up, opening
from .wire.codegen.refusals import Refused
from .wire.codegen.run import Run
from .wire.codegen.trace import Trace
from .wire.codegen.watch import Pace, Watch
from .wire.completion import LONGEST_ANSWER
from .wire.refusals import hidden
from .wire.session import Connector, Sessions, connector

# Answers to a resume that say: this run will not go on. Another one can.
WILL_NOT_GO_ON = frozenset({400, 404, 409, 410, 422})


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that works on the request; `lines` of its log were told before, `said` is the digest of its last answer."""

    run: Run
    lines: int = 0
    said: str = ""


class CodegenBackend:
    """Creates or resumes a run and asks for its state until it has ended.

    A run whose worker died is taken up again by the task's next attempt. `make_connector` lets the caller decide which
    addresses may be dialled; `limits` and `pace` are the API's and ours, for tests to scale down.
    """

    name = "codegen"
    remembers = True
    resumes = True
    works_in_files = False

    def __init__(
        self,
        *,
        make_connector: Connector = connector,
        limits: Mapping[str, Limit] = PUBLISHED,
        pace: Pace | None = None,
    ) -> None:
        self._sessions = Sessions(make_connector)
        self._allowances = Allowances(limits)
        self._pace = pace or Pace()

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Have it worked on. Raises BackendError. Cancelled, it stops asking; the run goes on at Codegen."""
        account = CodegenAccount.of(request.config)
        api = CodegenApi(account, await self._sessions.get(), self._allowances, self._pace.within)
        memory = Memory.of(request)
        begun = await _begin(api, request, reporter, memory)
        run, lines = await self._follow(api, request, reporter, memory, begun)
        # A task of a session has a run of its own; the conversation's stays as it is.
        kept = memory.after(run, lines, joins=request.is_message or request.session_id is None).public()
        if failure := _failure(run, account):
            reporter.remember(kept)
            raise failure
        return self._answer(run, account, kept)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Not configured, for good, or ready: whether Codegen takes the credential shows when it is asked."""
        try:
            CodegenAccount.of(config)
        except BackendError as error:
            return Unready(str(error), for_good=True)
        return None

    async def close(self) -> None:
        """Close the running loop's connections; a loop that ends as asyncio.run ends does so by itself."""
        await self._sessions.close()

    async def _follow(
        self, api: CodegenApi, request: Request, reporter: Reporter, memory: Memory, begun: Begun
    ) -> tuple[Run, int]:
        """The run as it ended, and how many lines of its log are told."""
        trace = Trace(api, begun.run.id, reporter.log, told=begun.lines)
        kept: dict[str, Json] = {}

        def keep() -> None:
            nonlocal kept
            waiting = memory.waiting(request.task_id, begun.run.id, trace.told).public()
            if waiting != kept:
                kept = waiting
                reporter.remember(kept)

        keep()
        watch = Watch(api, trace, self._pace, said=begun.said, tell=reporter.log)
        return await watch.until_ended(begun.run, keep), trace.told

    def _answer(self, run: Run, account: CodegenAccount, memory: Mapping[str, Json]) -> Answer:
        content = run.content[:LONGEST_ANSWER]
        result = {"content": content, "runId": run.id, "url": run.url, "status": run.status}
        return Answer(
            content,
            result={**result, "pullRequests": run.pull_requests},
            backend=self.name,
            model=account.model or None,
            truncated=len(content) < len(run.content),
            memory=memory,
        )


async def _begin(api: CodegenApi, request: Request, reporter: Reporter, memory: Memory) -> Begun:
    """The run of an earlier attempt, else the conversation's, told to go on, else a new one."""
    begun = await _pending(api, request, memory) or await _resumed(api, request, memory)
    if begun is None:
        # An answer that gets lost would cost a second run: the next attempt looks whether there is one.
        reporter.remember(memory.waiting(request.task_id).public())
        begun = Begun(await api.create(opening(request), request.task_id))
    return begun


async def _pending(api: CodegenApi, request: Request, memory: Memory) -> Begun | None:
    """The run that this very task was waiting for, where there is one."""
    waits = memory.pending
    if waits is None or waits.task_id != request.task_id:
        return None
    try:
        run = await (api.find(request.task_id) if waits.run_id is None else api.get(waits.run_id))
    except Refused as error:
        if error.status in WILL_NOT_GO_ON:
            return None
        raise
    if run is None:
        return None
    return Begun(run, waits.lines, memory.said if run.id == memory.run_id else "")


async def _resumed(api: CodegenApi, request: Request, memory: Memory) -> Begun | None:
    """The conversation's run, told what it has not heard yet; a task that is no message has no conversation.

    A run that was left at work would give what it was asked before for the answer: it is not asked anything more.
    """
    if memory.run_id is None or not request.is_message or memory.left_at_work(request.task_id):
        return None
    try:
        run = await api.resume(memory.run_id, follow_up(request, memory.said))
    except Refused as error:
        if error.status in WILL_NOT_GO_ON:
            return None
        raise
    return Begun(run, memory.lines, memory.said)


def _failure(run: Run, account: CodegenAccount) -> BackendError | None:
    if not run.failed and run.content:
        return None
    if not run.failed:
        return BackendError(f"the Codegen run {run.id} ended without an answer", code="empty_answer")
    reason = hidden(run.content, account.api_key)
    return BackendError(f"the Codegen run {run.id} ended as {run.status}" + (f": {reason}" if reason else ""))
