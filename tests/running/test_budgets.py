"""A session whose tokens are used up: its next message waits for a person, and goes on once that one has agreed."""

from typing import Any

from tests.live import until

from .cast import Cast
from .ledger import all_events
from .model import answer_to

# What the model says that an answer used.
TOKENS = 7


def used_up(cast: Cast) -> tuple[str, str, dict[str, Any]]:
    """A session that has used its budget, a message in it that waits, and the question."""
    word, _ = cast.plan()
    session = cast.session(cast.agent(), tokenBudget=TOKENS, timeout=1000)
    assert cast.say(session, f"{word} first").status_code == 200
    second = cast.say(session, f"{word} second")
    assert second.status_code == 202, second.text
    (task,) = until(lambda: cast.all("/tasks", "tasks", sessionId=session, status="waiting"))
    (action,) = cast.all("/actions", "actions", sessionId=session)
    assert (action["status"], action["kind"], action["taskId"]) == ("pending", "budget", task["id"])
    assert action["input"] == {"scope": "session", "tokenBudget": TOKENS, "tokensUsed": TOKENS}
    assert cast.model.calls_of(f"{word} second") == []
    return session, str(second.json()["messageId"]), action


def test_a_used_up_budget_waits_for_a_person_and_then_goes_on(cast: Cast) -> None:
    session, message, action = used_up(cast)
    # A third waits for its turn as ever.
    third = cast.post(session, "third")
    confirmed = cast.client.post(f"/actions/{action['id']}/confirm", json={"confirmed": True})
    assert confirmed.json()["action"]["status"] == "confirmed"
    answered = cast.ended(session, message)
    assert answered["response"]["content"] == answer_to(answered["content"])
    assert answered["response"]["metadata"]["tokensUsed"] == TOKENS
    shown = cast.client.get(f"/sessions/{session}").json()["session"]
    # It grew by as much as it was, and is used up again.
    assert (shown["configuration"]["tokenBudget"], shown["usage"]["tokensUsed"]) == (2 * TOKENS, 2 * TOKENS)
    until(lambda: cast.all("/tasks", "tasks", sessionId=session, status="waiting"))
    assert cast.message(session, third)["status"] == "queued"


def test_a_budget_that_is_denied_ends_what_waits(cast: Cast) -> None:
    session, message, action = used_up(cast)
    body = {"confirmed": False, "reason": "too dear"}
    assert cast.client.post(f"/actions/{action['id']}/confirm", json=body).status_code == 200
    ended = cast.ended(session, message)
    assert (ended["status"], ended["error"]) == ("failed", "The token budget is used up: too dear")
    mine = [e["eventType"] for e in all_events(cast) if e["data"].get("actionId") == action["id"]]
    assert sorted(mine) == ["action.denied", "action.pending", "budget.reached", "task.waiting"]
    assert mine[-1] == "action.denied"
