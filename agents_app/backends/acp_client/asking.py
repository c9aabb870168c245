"""Decides what an agent may do: by the permission mode, by what was allowed before, or by asking a person."""

import asyncio

from ..base import Decision
from . import permissions
from .diffs import unified
from .narration import Narration
from .permissions import ALLOW, REJECT
from .tools import Use, all_inside, below

EDITED = "denied all the same: this agent cannot be given another input than it asked for"


class Asking:
    """The decisions of one run. `stopped` has a result, the reason, once a person wants it to end."""

    def __init__(self, root: str, mode: str, narration: Narration) -> None:
        self.stopped: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._root, self._mode, self._narration = root, mode, narration
        self._turn = asyncio.Lock()  # one question at a time: what is then always allowed need not be asked again
        self._always: set[tuple[str, bool]] = set()
        self._granted: dict[str, str | None] = {}

    async def decide(self, use: Use) -> Decision:
        """Whether the agent may do this."""
        inside = all_inside(self._root, use.all_paths)
        outside = bool(use.all_paths) and not inside
        async with self._turn:
            verdict = permissions.judge(use, self._mode, inside=inside)
            if self.stopped.done() or verdict == REJECT:
                self._narration.log(f"rejected in permission mode {self._mode}: {use.title} ({use.kind})")
                return Decision(allowed=False)
            if verdict == ALLOW or (use.kind, outside) in self._always:
                return Decision(allowed=True)
            return await self._ask(use, outside=outside)

    def grant(self, use: Use) -> None:
        """Let the agent write through us, once, what it was permitted to write."""
        self._granted |= {name: None for path in use.paths if (name := below(self._root, path))}
        self._granted |= {name: change.new for change in use.changes if (name := below(self._root, change.path))}

    def uses_grant(self, path: str, text: str) -> bool:
        """Whether this was permitted; it is not any more from now on."""
        return path in self._granted and self._granted.pop(path) in (None, text)

    async def _ask(self, use: Use, *, outside: bool) -> Decision:
        diff = await asyncio.to_thread(unified, use.changes)
        question = permissions.question(use, diff, self._narration.secrets.hide, outside=outside)
        decision = await self._narration.reporter.ask(question)
        because = f": {decision.reason}" if decision.reason else ""
        self._narration.log(f"{'allowed' if decision.allowed else 'denied'}: {use.title} ({use.kind}){because}")
        if decision.allowed and decision.input not in (None, question.input):
            self._narration.log(EDITED)
            return Decision(allowed=False)
        if decision.allowed and decision.always:
            self._always.add((use.kind, outside))
        if not decision.allowed and decision.on_deny == "stop" and not self.stopped.done():
            self.stopped.set_result(self._narration.secrets.line(f"{use.title or use.kind} was denied{because}"))
        return decision
