"""A small agent that speaks the Agent Client Protocol and behaves as its first argument says; needs no package.

Started as a program: `acp_agent.py <behaviour> <argument> …`. With PIDS in its environment it leaves its process id
in that folder when it has the work.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
# Without the site's packages, so that it starts at once.
COMMAND = [sys.executable, "-I", "-S", str(HERE)]
TOKENS = 14
KEY = os.environ.get("KEY", "")


class Agent:
    """One connection. `prompts` are the texts it was asked, `told` what it was told before: sessions, modes, models."""

    def __init__(self) -> None:
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
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(act: Behaviour) -> Behaviour:
    BEHAVIOURS[act.__name__] = act
    return act


@behaviour
def answers(agent: Agent) -> None:
    agent.say("Hi ")
    agent.say("there")


@behaviour
def uncounted(agent: Agent) -> None:
    agent.usage = {}
    answers(agent)


@behaviour
def gemini(agent: Agent) -> dict[str, Any]:
    agent.usage = {"_meta": {"quota": {"token_count": {"input_tokens": 30, "output_tokens": 3}}}}
    agent.say("counted elsewhere")
    return agent.end()


@behaviour
def silent(agent: Agent) -> None:
    while True:
        agent.receive()


@behaviour
def stubborn(agent: Agent) -> None:
    """Heeds nothing, and neither does its child, which has left its session."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.setsid(); print(flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    leave_pid(child.pid)
    agent.say("begun")
    while True:
        time.sleep(60)


@behaviour
def leaves(agent: Agent) -> None:
    """Answers, and leaves a child behind that holds on to its output."""
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"], start_new_session=True)
    leave_pid(child.pid)
    agent.say("done")


@behaviour
def stalls(agent: Agent) -> None:
    agent.say("Hi")
    silent(agent)


@behaviour
def cancels(agent: Agent) -> dict[str, Any]:
    """Ends its turn when it is cancelled, and leaves a note of it."""
    agent.say("Hi")
    while agent.receive().get("method") != "session/cancel":
        pass
    Path(sys.argv[2]).write_text("cancelled")
    return agent.end("cancelled")


@behaviour
def refused(agent: Agent) -> None:
    raise Failure(-32000, f"Authentication required for {KEY}", None)


@behaviour
def limited(agent: Agent) -> None:
    data = {"statusCode": 429, "responseHeaders": {"retry-after": "7"}}
    raise Failure(-32603, "Internal error", {"details": f"too many requests of {KEY}", **data})


@behaviour
def server_error(agent: Agent) -> None:
    raise Failure(-32603, f"Internal error: {KEY} is too much", {"statusCode": 503})


@behaviour
def wrong(agent: Agent) -> None:
    raise Failure(*json.loads(sys.argv[2]))


@behaviour
def nonsense(agent: Agent) -> dict[str, Any]:
    return {"stopReason": ["what"]}


@behaviour
def breaks(agent: Agent) -> None:
    agent.say("Hi")
    sys.stderr.write(f"Traceback: {KEY} broke\nlast words of {KEY}\n\n")
    sys.exit(3)


@behaviour
def babbles(agent: Agent) -> None:
    while True:
        sys.stdout.write("a progress bar\n" * 1_000)


@behaviour
def floods(agent: Agent) -> None:
    while True:
        sys.stdout.write("x" * 65_536)


@behaviour
def complains(agent: Agent) -> None:
    """Fills its error output before it answers."""
    for _ in range(100):
        sys.stderr.write("complaint " * 10_000 + "\n")
    agent.say("at last")


@behaviour
def odd(agent: Agent) -> None:
    """All sorts of lines that are no message, between the pieces of an answer."""
    agent.say("a")
    for line in ("", "Loading…", "[]", "7", '{"id": []}', '{"id": 1, "error": "no"}', '{"method": 7}', "[" * 5_000):
        sys.stdout.write(line + "\n")
    agent.update("a_kind_of_next_year", what=1)
    agent.send(method="session/update", params={"sessionId": 7})
    agent.send(method="session/update", params=[KEY])
    agent.send(method="_theirs/notice", params={})
    agent.say("b\0\ud800")


@behaviour
def environ(agent: Agent) -> None:
    agent.say(json.dumps({"environ": dict(os.environ), "cwd": os.getcwd(), "fds": os.listdir("/dev/fd")}))


@behaviour
def repeats(agent: Agent) -> None:
    """What it was asked and told so far."""
    agent.say(json.dumps({"prompts": agent.prompts, "told": agent.told}))


@behaviour
def thinks(agent: Agent) -> None:
    for word in ("I ", "wonder ", f"about {KEY}"):
        agent.say(word, "agent_thought_chunk")
    entries = [{"content": f"step {n}", "priority": "medium", "status": "pending"} for n in range(4)]
    agent.update("plan", entries=entries)
    entries[0]["status"], entries[1]["status"] = "completed", "in_progress"
    agent.update("plan", entries=entries)
    agent.update("plan", entries=entries)
    agent.update("tool_call", toolCallId="t1", title="Look around", kind="search", status="pending")
    agent.update("tool_call_update", toolCallId="t1", status="failed")
    agent.say("thought through")


@behaviour
def asks(agent: Agent) -> None:
    """Asks for what its further arguments say: a call, and the kinds of options; says what was chosen."""
    call, kinds = json.loads(sys.argv[2]), sys.argv[3:]
    agent.update("tool_call", toolCallId="t1", title="Told before", kind="execute", rawInput={"told": "before"})
    agent.say(agent.may({"toolCallId": "t1", **call}, *kinds))


@behaviour
def asks_twice(agent: Agent) -> None:
    call, kinds = json.loads(sys.argv[2]), sys.argv[3:]
    agent.say(" ".join(agent.may({"toolCallId": f"t{n}", **call}, *kinds) for n in range(2)))


@behaviour
def asks_for_ever(agent: Agent) -> None:
    """Asks a hundred things at once."""
    for number in range(100):
        options = [{"optionId": "no", "name": "no", "kind": "reject_once"}]
        params = {"sessionId": "session-1", "toolCall": {"toolCallId": f"t{number}"}, "options": options}
        agent.send(id=number + 1_000, method="session/request_permission", params=params)
    silent(agent)


@behaviour
def writes(agent: Agent) -> None:
    """Writes `text` to `path`, its arguments, through the client, having asked where a third argument says so."""
    path, text, *asked = sys.argv[2:]
    if asked:
        diff = {"type": "diff", "path": path, "oldText": None, "newText": asked[0]}
        about = {"content": [diff]} if asked[0] else {"locations": [{"path": path}]}
        agent.may({"toolCallId": "t1", "kind": "edit", **about}, "allow_once", "reject_once")
    agent.say(agent.write(path, text) or "written")
    if asked:
        agent.say(" " + (agent.write(path, text + " again") or "written"))


@behaviour
def reads(agent: Agent) -> None:
    path, *rest = sys.argv[2:]
    more = dict(zip(("line", "limit"), map(int, rest), strict=False))
    answer = agent.request("fs/read_text_file", path=path, **more)
    agent.say(
        error_of(answer) + f" {answer['error']['code']}" if "error" in answer else f"<{answer['result']['content']}>"
    )


@behaviour
def edits(agent: Agent) -> None:
    """Writes files by itself and tells of them, of one that it did not write, and of one outside."""
    for name in ("new.txt", "sub/deep.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("by itself")
    for number, name in enumerate(("new.txt", f"{os.getcwd()}/sub/deep.txt", "old.txt", "never.txt", "../out.txt")):
        agent.update("tool_call", toolCallId=f"t{number}", title="Edit", kind="edit", locations=[{"path": name}])
        agent.update("tool_call_update", toolCallId=f"t{number}", status="completed")


@behaviour
def terminal(agent: Agent) -> None:
    agent.say(error_of(agent.request("terminal/create", command="ls")))


@behaviour
def stops(agent: Agent) -> dict[str, Any]:
    if len(sys.argv) > 3:
        agent.say(sys.argv[3])
    return agent.end(sys.argv[2])


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
        return BEHAVIOURS[sys.argv[1]](agent) or agent.end()
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


def main() -> None:
    agent = Agent()
    if sys.argv[1] == "dies_at_once":
        sys.stderr.write("usage: agent --wrong\n")
        sys.exit(2)
    while True:
        message = agent.heard.pop(0) if agent.heard else agent.receive()
        if "id" not in message:
            continue
        try:
            agent.send(id=message["id"], result=answer(agent, message["method"], message["params"]))
        except Failure as failure:
            code, text, data = failure.args
            agent.send(id=message["id"], error={"code": code, "message": text, "data": data})


if __name__ == "__main__":
    main()
