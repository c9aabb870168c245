"""What the agent has already been told in a session."""

from agents_app.models import Task

from .models import Message

# A bound on what is loaded; each backend cuts further to what its model can hold.
TURNS = 100
CHARACTERS = 400_000


def before_task(task: Task) -> list[tuple[str, str]]:
    """The answered messages before this task's one as (role, content), oldest first."""
    position = Message.objects.filter(pk=task.origin_id).values("position")[:1]
    earlier = Message.objects.filter(
        session_id=task.session_id, status=Message.COMPLETED, position__lt=position, response__isnull=False
    )
    turns: list[tuple[str, str]] = []
    size = 0
    for content, response in earlier.order_by("-position").values_list("content", "response")[:TURNS]:
        size += len(content) + len(response["content"])
        if size > CHARACTERS:
            break
        turns += [("assistant", response["content"]), ("user", content)]
    return turns[::-1]
