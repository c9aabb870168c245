"""A real agent of somebody else's: opencode, with a model of ours on loopback and nothing beyond it.

It is installed by `npm install --prefix ~/.cache/taskmaster-opencode opencode-ai@1.18.33`, or named by OPENCODE.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agents_app.backends.acp_client.places import home_of
from agents_app.backends.base import BackendError, Decision, Request

from ..local_model.running import alive
from .acp_running import Desktop
from .recorder import Recorder
from .stand_in import DONE, Handler, StandIn, chunk, serving, usage

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
OPENCODE = os.environ.get("OPENCODE") or str(CACHE / "taskmaster-opencode/node_modules/.bin/opencode")
KEY = "sk-dummy-of-the-tests"
NOWHERE = "http://127.0.0.1:9"
# It is told not to look for updates, models, plugins or a place to share with; whatever it tries ends here.
ALONE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "npm_config_registry"), NOWHERE),
    "NO_PROXY": "127.0.0.1,localhost",
    **dict.fromkeys(
        (
            "OPENCODE_DISABLE_AUTOUPDATE",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS",
            "OPENCODE_DISABLE_LSP_DOWNLOAD",
            "OPENCODE_DISABLE_MODELS_FETCH",
            "OPENCODE_DISABLE_SHARE",
        ),
        "1",
    ),
}
YES, NO = Decision(allowed=True), Decision(allowed=False)

pytestmark = pytest.mark.skipif(shutil.which(OPENCODE) is None, reason=f"opencode is not installed at {OPENCODE}")


def uses(tool: str, **arguments: Any) -> Handler:
    """A model that has the tool used once, then says that it is done."""

    async def handler(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body["messages"][-1]["role"] == "user" and body.get("tools"):
            call = {"index": 0, "id": "call_1", "type": "function"}
            call["function"] = {"name": tool, "arguments": json.dumps(arguments)}
            first = {"model": "tiny", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
            pieces = [b"data: " + json.dumps(first).encode() + b"\n\n", chunk(finish="tool_calls"), usage(7, 3), DONE]
        else:
            pieces = [chunk("All "), chunk("done."), chunk(finish="stop"), usage(10, 2), DONE]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return handler


@asynccontextmanager
async def opencode(desktop: Desktop, model: Handler) -> AsyncIterator[tuple[StandIn, Request]]:
    """The model's server, and a request for an opencode that is set up to ask it alone."""
    async with serving(model) as there:
        home = Path(home_of(str(desktop.work), "agent_1"), ".config", "opencode")
        provider = {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": there.url, "apiKey": KEY}}
        provider["models"] = {"tiny": {"name": "tiny", "limit": {"context": 100_000, "output": 1_000}}}
        settings = {
            "model": "ours/tiny",
            "small_model": "ours/tiny",
            "enabled_providers": ["ours"],
            "provider": {"ours": provider},
            "permission": {"edit": "ask", "bash": "ask"},
            "share": "disabled",
            **dict.fromkeys(("autoupdate", "lsp", "formatter"), False),
        }
        # With this it takes its plugins' package for installed and does not ask the registry.
        lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": "*"}}}}
        (home / "node_modules").mkdir(parents=True, exist_ok=True)
        (home / "package-lock.json").write_text(json.dumps(lock))
        (home / "opencode.json").write_text(json.dumps(settings))
        config = {"command": [OPENCODE, "acp", "--pure"], "env": {**ALONE, "THE_KEY": KEY}}
        yield there, desktop.request(content="Write hello.txt", config=config)


def changed(request: Request, **fields: Any) -> Request:
    return Request(**{name: getattr(request, name) for name in request.__slots__} | fields)


def test_it_asks_does_what_was_decided_and_goes_on_with_the_conversation(desktop: Desktop) -> None:
    async def run() -> None:
        file = desktop.work / "hello.txt"
        model = uses("write", filePath=str(file), content="hello\n")
        async with opencode(desktop, model) as (there, request):
            denied = await desktop.backend().run(request, Recorder(NO))
            assert not file.exists()
            recorder = Recorder(YES)
            again = changed(request, content="Please do", memory=denied.memory)
            answer = await desktop.backend().run(again, recorder)
            assert file.read_text() == "hello\n"
            # Of a turn with several steps this version reports the last one's usage.
            assert (answer.model, answer.tokens, recorder.text) == ("ours/tiny", 12, "All done.")
            assert answer.memory["sessionId"] == denied.memory["sessionId"]
            check_question(recorder)
            said = [str(turn["content"]) for turn in there.bodies[-1]["messages"] if turn["role"] == "user"]
            assert [text for text in said if "Write hello.txt" in text] == said[:1]
            assert "Please do" in said[-1]

    asyncio.run(asyncio.wait_for(run(), 60))
    home = Path(home_of(str(desktop.work), "agent_1"))
    assert not (home / ".npm").exists()


def check_question(recorder: Recorder) -> None:
    asked = recorder.questions[0]
    assert (asked.tool, asked.risk, len(recorder.questions)) == ("edit", "medium", 1)
    assert asked.diff is not None
    assert "+hello" in asked.diff


def test_a_cancel_ends_it_and_the_command_that_it_runs(desktop: Desktop) -> None:
    async def run() -> None:
        note = desktop.work / "pid"
        model = uses("bash", command=f"echo $$ > {note}; exec sleep 600", description="Sleeps")
        async with opencode(desktop, model) as (_, request):
            running = asyncio.create_task(desktop.backend().run(request, Recorder(YES)))
            while not (note.exists() and note.read_text().endswith("\n")):  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.02)
            pid = int(note.read_text())
            assert alive(pid)
            running.cancel()
            await asyncio.wait({running}, timeout=3)
            assert running.cancelled()
            assert not alive(pid)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_key_that_its_provider_does_not_take_is_told_without_the_key(desktop: Desktop) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"message": f"unknown key {KEY}"}}, status=401)

    async def run() -> None:
        async with opencode(desktop, refuse) as (_, request):
            with pytest.raises(BackendError) as caught:
                await desktop.backend().run(request, Recorder())
            assert str(caught.value) == "the agent failed: Internal error: unknown key [hidden]"
            assert not caught.value.transient

    asyncio.run(asyncio.wait_for(run(), 60))
