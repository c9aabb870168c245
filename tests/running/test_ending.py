"""SIGTERM: nothing new, everybody answered, the work done after the next start."""

import httpx

from tests.live import Live, until

from .cast import Cast, body_of
from .ledger import all_events, ends

WAITS, STREAMS = 18, 2


def refuses(live: Live) -> bool:
    """Whether a balancer would send its requests elsewhere."""
    try:
        return httpx.get(f"{live.base}/readyz", timeout=10).status_code == 503
    except httpx.TransportError:
        return True


def test_everybody_is_answered_and_the_work_is_done_after_the_restart(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    agent = cast.agent(limit=4)
    sessions = [cast.session(agent, timeout=60_000) for _ in range(WAITS + STREAMS)]
    waits = [cast.hang(session, f"{word} {n}") for n, session in enumerate(sessions[:WAITS])]
    streams = [cast.hang(session, f"{word} s", accept="text/event-stream") for session in sessions[WAITS:]]
    until(lambda: all(cast.messages(session) for session in sessions))
    until(lambda: sum(call.content.startswith(word) for call in cast.model.calls) == 4)
    late, _ = cast.plan()
    sessions.append(cast.session(agent))
    uploading = cast.half_say(sessions[-1], late)
    cast.client.close()  # the next request needs a new connection

    cast.live.terminate()
    until(lambda: refuses(cast.live), 5)
    answers = [connection.getresponse() for connection in waits]
    assert [answer.status for answer in answers] == [202] * WAITS
    assert all(b'"messageId"' in answer.read() for answer in answers)
    for connection in streams:
        assert b"event: completed" not in connection.getresponse().read()
    # The server is still there for whoever was in the middle of a request, and for nobody else.
    assert refuses(cast.live)
    uploading.send(body_of(late)[1:])
    assert uploading.getresponse().status == 202
    codes = cast.live.codes()
    assert set(codes.values()) == {0}, codes

    plan.go.set()
    cast.live.start()
    with cast.live.client() as cast.client:
        messages = [(session, cast.messages(session)[0]["id"]) for session in sessions]
        assert [cast.ended(*message)["status"] for message in messages] == ["completed"] * len(messages)
        told = ends(all_events(cast), "message")
        assert [told[message] for _, message in messages] == [["completed"]] * len(messages)
        for n, session in enumerate(sessions[:WAITS]):
            (task,) = cast.all("/tasks", "tasks", sessionId=session)
            assert len(cast.model.calls_of(f"{word} {n}")) == task["attempts"] <= 2
