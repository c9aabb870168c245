"""An agent that fails five times in a row is in error, and comes back by itself once it works again."""

import time
from typing import Any

from tests.live import until

from .cast import Cast
from .ledger import all_events, ends

PAUSE, SWEPT = 10, 5
TASKS = 6


def shown(cast: Cast, agent: str) -> dict[str, Any]:
    """The agent as it is now."""
    return dict(cast.client.get(f"/agents/{agent}").raise_for_status().json()["agent"])


def told_of(cast: Cast, agent: str) -> list[tuple[str, str | None, str | None]]:
    """The events of the agent's own: type, status, reason."""
    kinds = ("agent.error", "agent.status")
    events = [e for e in all_events(cast) if e["eventType"] in kinds and e["data"]["agentId"] == agent]
    return [(e["eventType"], e["data"].get("status"), e["data"]["reason"]) for e in events]


def test_an_agent_in_error_is_left_alone_for_a_while_and_comes_back_by_itself(cast: Cast) -> None:
    # Each task is refused once, and would be tried again after a second.
    word, plan = cast.plan(refusals=[500])
    agent = cast.agent(limit=5)
    cast.client.post(f"/agents/{agent}/pause").raise_for_status()
    tasks = [cast.task(agent, f"{word} {n}") for n in range(TASKS)]
    cast.client.post(f"/agents/{agent}/resume").raise_for_status()
    until(lambda: shown(cast, agent)["status"] == "error", 10)
    broken = time.monotonic()
    reason = "the model endpoint answered 500: told to refuse"
    assert shown(cast, agent)["reason"] == reason
    # Other tests' agents may be in error as well, but nothing else may be in this list.
    listed = {a["id"]: a["status"] for a in cast.all("/agents", "agents", status="error")}
    assert (listed[agent], set(listed.values())) == ("error", {"error"})
    calls = len(cast.model.calls)
    # It works again, and nobody tells.
    plan.refusals = ()
    until(lambda: shown(cast, agent)["status"] == "active", PAUSE + SWEPT)
    assert time.monotonic() - broken > PAUSE - 3
    first, *others = [call for call in cast.model.calls[calls:] if call.content.startswith(word)]
    assert first.ended
    assert all(call.began >= first.ended for call in others), "it was tried with one"
    until(lambda: all(cast.task_now(task)["status"] == "completed" for task in tasks), SWEPT)
    told = ends(all_events(cast), "task")
    assert [told[task] for task in tasks] == [["completed"]] * TASKS
    assert told_of(cast, agent)[2:] == [
        ("agent.error", None, reason),
        ("agent.status", "error", reason),
        ("agent.status", "active", None),
    ]
    assert shown(cast, agent)["reason"] is None
