"""The tools that an agent uses, as far as it tells."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from acp.schema import FileEditToolCallContent, ToolCall, ToolCallUpdate

from ..base import Json

MOST_USES = 1_000
MOST_PATHS = 100
OTHER = "other"
ENDED = frozenset({"completed", "failed"})


@dataclass(frozen=True, slots=True)
class Change:
    """A file's text before, None where there is no file, and after."""

    path: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a tool. `kind` is the protocol's: read, edit, delete, move, search, execute, think, fetch, …"""

    id: str
    kind: str = OTHER
    title: str = ""
    status: str = ""
    input: Json = None
    paths: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def all_paths(self) -> tuple[str, ...]:
        """The files that it is about."""
        return (*self.paths, *(change.path for change in self.changes))


class Uses:
    """The uses of a turn. What an update leaves out is as it was (Agent Client Protocol, "Tool Calls")."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Use] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def told(self, call: ToolCall | ToolCallUpdate) -> Use:
        """The use as it is after what was told of it; of one that has ended only what it was is kept."""
        use = merged(self._known.get(call.tool_call_id) or Use(call.tool_call_id), call)
        self._known[use.id] = replace(use, input=None, changes=()) if use.status in ENDED else use
        if len(self._known) > MOST_USES:
            self._known.popitem(last=False)
        return use

    def known(self, call: ToolCallUpdate) -> Use:
        """The use that a request is about, which is not told of by it."""
        return merged(self._known.get(call.tool_call_id) or Use(call.tool_call_id), call)


def merged(use: Use, call: ToolCall | ToolCallUpdate) -> Use:
    """The use with what is told of it now."""
    changes = [
        Change(c.path, c.old_text, c.new_text) for c in call.content or () if isinstance(c, FileEditToolCallContent)
    ]
    return replace(
        use,
        kind=call.kind or use.kind,
        title=call.title or use.title,
        status=call.status or use.status,
        input=use.input if call.raw_input is None else call.raw_input,
        paths=tuple(spot.path for spot in call.locations) if call.locations else use.paths,
        changes=tuple(changes) or use.changes,
    )


def below(root: str, path: str) -> str | None:
    """A path that an agent names, absolute or not, as one below the root; None where it leads outside as written."""
    spelled = os.path.normpath(os.path.join(root, path))
    for base in (os.path.normpath(root), os.path.realpath(root)):
        if spelled.startswith(base + os.sep):
            return spelled[len(base) + 1 :]
    return None


def all_inside(root: str, paths: Sequence[str]) -> bool:
    """Whether there are paths and all of them are below the root, links followed, as things are now."""
    real = os.path.realpath(root)
    return 0 < len(paths) <= MOST_PATHS and all(
        "\0" not in path and os.path.realpath(os.path.join(root, path)).startswith(real + os.sep) for path in paths
    )
