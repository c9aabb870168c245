"""A small agent that speaks the Agent Client Protocol; needs no package. With PIDS in its environment it leaves its
process id in that folder when it has the work.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Without the site's packages, so that it starts at once.
COMMAND = [sys.executable, "-I", "-S", str(Path(__file__).resolve().with_name("acp_behaviours.py"))]
TOKENS = 14


class Agent:
    """One connection. `prompts` are the texts it was asked, `told` what it was told before: sessions, modes, models."""

    def __init__(self, act: "Behaviour") -> None:
        self.act = act
        self.session_id = "session-1"
        self.prompts: list[str] = []
        self.told: list[Any] = []
        self.heard: list[dict[str, Any]] = []
        self.usage: dict[str, Any] = {"usage": {"totalTokens": TOKENS, "inputTokens": 10, "outputTokens": 4}}
        self._asked = 0

    def send(self, **message: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def update(self, update: str, **fields: Any) -> None:
        told = {"sessionId": self.session_id, "update": {"sessionUpdate": update, **fields}}
        self.send(method="session/update", params=told)

    def say(self, text: str, kind: str = "agent_message_chunk") -> None:
        self.update(kind, content={"type": "text", "text": text})

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the client; what else it says meanwhile is kept. The whole answer."""
        self._asked += 1
        self.send(id=f"ours-{self._asked}", method=method, params={"sessionId": self.session_id, **params})
        while (message := self.receive()).get("id") != f"ours-{self._asked}":
            self.heard.append(message)
        return message

    def may(self, call: dict[str, Any], *kinds: str) -> str:
        """Ask for permission, offering these kinds of options; the option that was chosen."""
        options = [{"optionId": f"the-{kind}", "name": kind, "kind": kind} for kind in kinds]
        answer = self.request("session/request_permission", toolCall=call, options=options)
        return str(answer["result"]["outcome"].get("optionId", answer["result"]["outcome"]["outcome"]))

    def write(self, path: str, text: str) -> str:
        """Write through the client; "" or why not."""
        return error_of(self.request("fs/write_text_file", path=path, content=text))

    def receive(self) -> dict[str, Any]:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        return dict(json.loads(line))

    def end(self, reason: str = "end_turn", **more: Any) -> dict[str, Any]:
        return {"stopReason": reason, **self.usage, **more}


def error_of(answer: dict[str, Any]) -> str:
    return str(answer["error"]["message"]) if "error" in answer else ""


class Failure(Exception):
    """Answered as an error: (code, message, data)."""


Behaviour = Callable[[Agent], "dict[str, Any] | None"]


def leave_pid(pid: int) -> None:
    if folder := os.environ.get("PIDS"):
        Path(folder, str(pid)).touch()


def answer(agent: Agent, method: str, params: dict[str, Any]) -> Any:
    if method == "initialize":
        version = int(os.environ.get("VERSION", "1"))
        return {"protocolVersion": version, "agentCapabilities": {"loadSession": "NO_LOAD" not in os.environ}}
    if method == "session/prompt":
        agent.prompts.append(params["prompt"][0]["text"])
        leave_pid(os.getpid())
        return agent.act(agent) or agent.end()
    if method not in ("session/new", "session/load", "session/set_mode", "session/set_config_option"):
        raise Failure(-32601, "Method not found", None)
    agent.told.append([method, params])
    if method == "session/load":
        agent.session_id = params["sessionId"]
        if agent.session_id == "lost":
            raise Failure(-32602, "session not found", None)
        agent.say("an old answer")
    return offers() if method in ("session/new", "session/load") else {}


def offers() -> dict[str, Any]:
    """A session that begins in the mode `build`, with two models to choose from."""
    modes = {
        "currentModeId": os.environ.get("MODE", "build"),
        "availableModes": named("id", "build", "plan", "acceptEdits"),
    }
    models = {"id": "model", "category": "model", "name": "Model", "type": "select", "currentValue": "small"}
    return {
        "sessionId": "session-1",
        "modes": modes,
        "configOptions": [{**models, "options": named("value", "small", "large")}],
    }


def named(key: str, *values: str) -> list[dict[str, str]]:
    return [{key: value, "name": value.title()} for value in values]


def serve(act: Behaviour) -> None:
    """Answer until the client is gone; a prompt is answered by `act`."""
    agent = Agent(act)
    while True:
        message = agent.heard.pop(0) if agent.heard else agent.receive()
        if "id" not in message:
            continue
        try:
            agent.send(id=message["id"], result=answer(agent, message["method"], message["params"]))
        except Failure as failure:
            code, text, data = failure.args
            agent.send(id=message["id"], error={"code": code, "message": text, "data": data})
