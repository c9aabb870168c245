"""The small agent as a program: `acp_behaviours.py <behaviour> <argument> …`."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from acp_agent import Agent, Behaviour, Failure, error_of, leave_pid, serve

KEY = os.environ.get("KEY", "")
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


if __name__ == "__main__":
    if sys.argv[1] == "dies_at_once":
        sys.stderr.write("usage: agent --wrong\n")
        sys.exit(2)
    serve(BEHAVIOURS[sys.argv[1]])
