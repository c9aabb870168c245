"""A provider that takes no more for a while is left alone by all who share the key, and nobody loses anything."""

import time
import uuid
from typing import Any

from tests.live import until

from .cast import Cast
from .ledger import all_events, ends
from .model import Call

SECONDS = 3


def limited(cast: Cast, agent: str) -> tuple[str, float]:
    """A task that the model refuses once for some seconds: its id, and when the refusal was sent."""
    word, _ = cast.plan(refusals=[429], retry_after=SECONDS)
    task = cast.task(agent, word)
    until(lambda: cast.task_now(task)["status"] == "queued" and cast.task_now(task)["attempts"] == 1)
    (call,) = cast.model.calls_of(word)
    assert call.ended
    return task, call.ended


def calls_with(cast: Cast, key: str) -> list[Call]:
    """What the model was asked with that key, in order."""
    return sorted((call for call in cast.model.calls if call.key == key), key=lambda call: call.began)


def shown(cast: Cast, agent: str) -> dict[str, Any]:
    """The agent as it is now."""
    return dict(cast.client.get(f"/agents/{agent}").raise_for_status().json()["agent"])


def test_nobody_uses_a_key_whose_provider_asked_for_a_pause(cast: Cast) -> None:
    key, another = uuid.uuid4().hex, uuid.uuid4().hex
    agents = [cast.agent(apiKey=key) for _ in range(2)]
    free = cast.agent(apiKey=another)
    word, _ = cast.plan()
    # Every worker has looked at both and found nothing against them.
    for agent in (*agents, free):
        done = cast.task(agent, f"{word} before")
        until(lambda done=done: cast.task_now(done)["status"] == "completed")
    first, refused = limited(cast, agents[0])
    tasks = [cast.task(agent, f"{word} {n}") for agent in agents for n in range(6)]
    others = [cast.task(free, f"{word} {n}") for n in range(6)]
    until(lambda: all(cast.task_now(task)["status"] == "completed" for task in others), SECONDS)
    assert time.monotonic() < refused + SECONDS, "another key is not affected"
    for agent in agents:
        until(lambda agent=agent: "rate limit" in (shown(cast, agent)["reason"] or ""), SECONDS)
        assert shown(cast, agent)["status"] == "busy"
    assert all(call.began < refused for call in calls_with(cast, key))
    check_all_done(cast, [first, *tasks], agents)
    after = [call.began for call in calls_with(cast, key) if call.began > refused]
    assert len(after) == 1 + len(tasks)
    assert min(after) >= refused + SECONDS
    assert {cast.task_now(task)["attempts"] for task in (*tasks, *others)} == {1}


def check_all_done(cast: Cast, tasks: list[str], agents: list[str]) -> None:
    """All end well, and the wait was nobody's failure."""
    until(lambda: all(cast.task_now(task)["status"] == "completed" for task in tasks), SECONDS + 10)
    told = ends(all_events(cast), "task")
    assert [told[task] for task in tasks] == [["completed"]] * len(tasks)
    names = ", ".join(f"'{task}'" for task in tasks)
    assert cast.live.sql(f"SELECT DISTINCT failures FROM agents_app_task WHERE id IN ({names})") == [(0,)]
    for agent in agents:
        assert shown(cast, agent)["status"] == "active"
