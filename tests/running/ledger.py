"""What the event log says: everything ends once, and no event is missing."""

from collections import defaultdict
from typing import Any

from tests.events.catalogued import complaints
from tests.live import until

from .cast import FINISHED, Cast

ENDS = {kind: {f"{kind}.{status}" for status in FINISHED} for kind in ("message", "task")}


def all_events(cast: Cast) -> list[dict[str, Any]]:
    """The whole log, numbered, without a gap, no event twice, and each as the catalogue describes it."""
    until(lambda: "\ntaskmaster_events_unnumbered 0.0" in cast.client.get("/metrics").text, 10)
    events = cast.all("/events", "events", after=0)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert len({event["id"] for event in events}) == len(events)
    assert [wrong for event in events for wrong in complaints(event["eventType"], event["data"])] == []
    return events


def ends(events: list[dict[str, Any]], kind: str) -> dict[str, list[str]]:
    """The ends that were told of each message or task, by its id."""
    told = defaultdict(list)
    for event in events:
        if event["eventType"] in ENDS[kind]:
            told[event["data"][f"{kind}Id"]].append(event["eventType"].removeprefix(f"{kind}."))
    return told


def order(events: list[dict[str, Any]], session: str, *kinds: str) -> list[str]:
    """The ids of the session's messages in the order in which such events told of them."""
    told = (event["data"] for event in events if event["eventType"] in kinds)
    return [data["messageId"] for data in told if data["sessionId"] == session]


def most_held(events: list[dict[str, Any]]) -> dict[str, int]:
    """How many tasks each agent held at its busiest moment, as the log tells it; none was ever held twice at once."""
    held, most = defaultdict[str, set[str]](set), defaultdict[str, int](int)
    for event in events:
        kind, data = event["eventType"], event["data"]
        if kind == "task.started":
            assert not any(data["taskId"] in tasks for tasks in held.values()), event
            held[data["agentId"]].add(data["taskId"])
            most[data["agentId"]] = max(most[data["agentId"]], len(held[data["agentId"]]))
        elif kind in ENDS["task"] or kind == "task.retrying":
            held[data["agentId"]].discard(data["taskId"])
    return most
