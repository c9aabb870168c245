"""What a client of `GET /events/stream` follows: a view names it, and the edge tells it the events as they come."""

from dataclasses import dataclass

from django.http import HttpResponse

from taskmaster.events.items import Item

# What a stream can be narrowed to, beside types.
ABOUT = ("sessionId", "taskId", "workflowId")


@dataclass(frozen=True, slots=True)
class Follow:
    """An organization's events after the sequence `after`: of these types and, where `about` says so, about one thing.

    It ends with its token. `newest` was the log's last sequence a moment ago.
    """

    org_id: str
    token_id: str
    types: frozenset[str]
    about: dict[str, str]
    after: int
    newest: int

    def holds(self, item: Item) -> bool:
        """Whether it asks for this event."""
        if item.event_type not in self.types:
            return False
        return not self.about or all(item.about.get(name) == value for name, value in self.about.items())


class FollowReply(HttpResponse):
    """A response whose content is only the beginning: the edge goes on with it.

    The beginning has no event, but already an id: whoever is cut off before the first event comes back to this place.
    """

    def __init__(self, follow: Follow) -> None:
        beginning = b": connected\nretry: 1000\nid: %d\n\n" % follow.after
        super().__init__(beginning, content_type="text/event-stream; charset=utf-8")
        self.follow = follow
        self["Cache-Control"] = "no-cache"
        self["X-Accel-Buffering"] = "no"  # nginx would hold the events back
