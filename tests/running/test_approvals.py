"""An agent that asks before it acts: its task waits for a person, also through the death of its worker."""

import json
from typing import Any

from tests.agents_app.backends.acp_agent import COMMAND
from tests.live import SERVICES, until

from .cast import Cast
from .ledger import all_events

CALL = {"kind": "execute", "title": "rm -rf build", "rawInput": {"command": "rm -rf build"}}


def asking(cast: Cast) -> tuple[str, str]:
    """A session with an agent that asks for a permission and says what it was answered; a message that it works at."""
    words = ["asks", json.dumps(CALL), "allow_once", "reject_once"]
    session = cast.session(cast.live.agent("acp", config={"command": [*COMMAND, *words]}))
    return session, cast.post(session, "clean up")


def question(cast: Cast, session: str) -> dict[str, Any]:
    """The open question of the session, once it is asked."""
    (action,) = until(lambda: cast.all("/actions", "actions", sessionId=session, status="pending"), 30)
    return dict(action)


def task_of(cast: Cast, session: str) -> dict[str, Any]:
    """The session's only task."""
    (task,) = cast.all("/tasks", "tasks", sessionId=session)
    return task


def test_it_waits_for_a_person_and_goes_on_as_decided(cast: Cast) -> None:
    for confirmed, said in ((True, "the-allow_once"), (False, "the-reject_once")):
        session, message = asking(cast)
        action = question(cast, session)
        task = task_of(cast, session)
        assert (action["kind"], action["taskId"], action["messageId"]) == ("tool", task["id"], message)
        assert (task["status"], cast.message(session, message)["status"]) == ("waiting", "processing")
        answer = cast.client.post(f"/actions/{action['id']}/confirm", json={"confirmed": confirmed})
        assert answer.status_code == 200, answer.text
        assert cast.ended(session, message)["response"]["content"] == said
        assert (task_of(cast, session)["status"], task_of(cast, session)["attempts"]) == ("completed", 1)


def test_a_question_whose_worker_was_killed_is_over_and_is_asked_anew(cast: Cast) -> None:
    session, message = asking(cast)
    first = question(cast, session)
    cast.live.kill_all(*(cast.live.names("worker") if SERVICES else ()))
    # As if its lease had run out by now.
    cast.live.sql(f"UPDATE agents_app_task SET lease_expires_at = '2020-01-01' WHERE id = '{first['taskId']}'")
    cast.live.start()
    until(lambda: cast.client.get(f"/actions/{first['id']}").json()["action"]["status"] == "expired", 30)
    late = cast.client.post(f"/actions/{first['id']}/confirm", json={"confirmed": True})
    assert (late.status_code, late.json()["code"]) == (409, "invalid_state")
    second = question(cast, session)
    assert (second["taskId"], second["id"] != first["id"]) == (first["taskId"], True)
    cast.client.post(f"/actions/{second['id']}/confirm", json={"confirmed": True}).raise_for_status()
    assert cast.ended(session, message)["response"]["content"] == "the-allow_once"
    assert task_of(cast, session)["attempts"] == 2
    kinds = ("action.", "task.waiting", "task.retrying", "task.completed")
    told = [e["eventType"] for e in all_events(cast) if e["data"].get("taskId") == first["taskId"]]
    assert [kind for kind in told if kind.startswith(kinds)] == [
        *("task.waiting", "action.pending", "action.expired", "task.retrying"),
        *("task.waiting", "action.pending", "action.confirmed", "task.completed"),
    ]
