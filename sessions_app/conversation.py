"""What the agent has already been told in a session."""

import orjson

from agents_app.models import Task
from taskmaster.core.prepared import Columns, Slot

from .models import Message

# A bound on what is loaded; each backend cuts further to what its model can hold.
TURNS = 100
CHARACTERS = 400_000

_EARLIER = Columns(
    lambda: (
        Message.objects.filter(
            session=Slot("session"),
            status=Message.COMPLETED,
            position__lt=Message.objects.filter(pk=Slot("pk")).values("position")[:1],
        )
        .order_by("-position")
        .values_list("content", "response")[:TURNS]
    )
)


def before_task(task: Task) -> list[tuple[str, str]]:
    """The answered messages before this task's one as (role, content), oldest first."""
    turns: list[tuple[str, str]] = []
    size = 0
    for content, response in _EARLIER.all(session=task.session_id, pk=task.origin_id):
        answer = orjson.loads(response)["content"]
        size += len(content) + len(answer)
        if size > CHARACTERS:
            break
        turns += [("assistant", answer), ("user", content)]
    return turns[::-1]
