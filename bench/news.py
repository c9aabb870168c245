"""What subscribers are told in the figures of sockets: an event of a task, as long as such events mostly are."""

import json
from typing import Any

KIND = "task.progress"
SAID = "Looking through the modules for the place where the version is set."


def data(number: int) -> dict[str, Any]:
    """The event's data; the mark lets a reader know the event."""
    about = {"taskId": "task_01k8m3v7q2x5z9w4r6t8y1n3b5c7", "agentId": "agent_01k8m3v7q2x5z9w4r6t8y1n3b5c7"}
    return {**about, "type": "bench", "progress": 0.25, "message": f"mark-{number:06} {SAID}"}


def text(number: int) -> str:
    """A frame as the product's: for servers that have no events."""
    facts = {"type": "event", "eventType": KIND, "id": "evt_01k8m3v7q2x5z9w4r6t8y1n3b5c7"}
    told = {**facts, "sequence": number, "timestamp": 1_800_000_000_000, "data": data(number)}
    return json.dumps(told, separators=(",", ":"))
