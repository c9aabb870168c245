"""The planner: from a workflow's steps as they are stored to what happens next. A pure function."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

PENDING, COMPLETED, FAILED, SKIPPED, CANCELLED = "pending", "completed", "failed", "skipped", "cancelled"
ENDED = frozenset({COMPLETED, FAILED, SKIPPED, CANCELLED})

# Why a step will not run.
ALL_SKIPPED = "Everything that it depends on was skipped."
DOES_NOT_HOLD = "Its condition does not hold."


@dataclass(frozen=True, slots=True)
class Node:
    """A step as the planner sees it. `gate` is what a completed condition came to; `guarded` says it has a `when`."""

    id: str
    status: str
    depends_on: tuple[str, ...]
    on_failure: str = "fail"
    gate: bool | None = None
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: steps to start, and to skip or to fail with the reason, each in the order of the steps given.

    `outcome` is "completed" or "failed" where all steps have ended once this is done, else None.
    """

    start: tuple[str, ...] = ()
    skip: tuple[tuple[str, str], ...] = ()
    fail: tuple[tuple[str, str], ...] = ()
    outcome: str | None = None


def plan(
    nodes: Iterable[Node],
    holds: Callable[[str], bool | str],
    *,
    changed: Collection[str] | None = None,
    unfinished: int | None = None,
    failed: Callable[[], bool] | None = None,
) -> Plan:
    """Decide everything that can be decided: what is skipped or failed decides, in the same call, what depends on it.

    `holds(id)` says whether the `when` of a step that could start holds, or, as a string, why that cannot be said: the
    step fails with it. `nodes` are the steps in their template's order, all of them unless `changed` is given.

    With `changed`, only what depends on those steps is looked at, directly or through steps that this call skips or
    fails. `nodes` must then hold what can be so reached, and what each of those depends on; more does no harm.
    `unfinished` counts all the workflow's steps that are stored as not ended, and `failed()`, which is asked at the
    very end only, says whether any step is stored as failed with `onFailure: fail`. Without them, `nodes` are all.
    """
    if (unfinished is None) != (failed is None):
        raise TypeError("`unfinished` and `failed` are told together: who knows one from outside knows the other")
    planning = _Planning(nodes, holds)
    planning.decide(planning.of(changed))
    return planning.plan(unfinished, failed)


def dependents(nodes: Iterable[Node], ids: Collection[str]) -> tuple[Node, ...]:
    """All that the end of these steps can matter to, and what each of those depends on: what a partial plan needs."""
    found = {node.id: node for node in nodes}
    after = _dependents(found.values())
    reached: set[str] = set()
    front = list(ids)
    while front:
        ahead = {node.id for id in front for node in after[id]} - reached
        reached |= ahead
        front = list(ahead)
    wanted = reached.union(*(found[id].depends_on for id in reached))
    return tuple(node for node in found.values() if node.id in wanted)


class _Planning:
    """One call: what is decided so far."""

    def __init__(self, nodes: Iterable[Node], holds: Callable[[str], bool | str]) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._after = _dependents(self._nodes.values())
        self._holds = holds
        self._start: set[str] = set()
        self._skip: dict[str, str] = {}
        self._fail: dict[str, str] = {}
        # Of each step looked at, how many of those it depends on have not ended.
        self._left: dict[str, int] = {}

    def of(self, changed: Collection[str] | None) -> Iterable[Node]:
        """The steps to look at first."""
        if changed is None:
            return [node for node in self._nodes.values() if node.status == PENDING]
        return {node.id: node for id in changed for node in self._after[id]}.values()

    def decide(self, steps: Iterable[Node]) -> None:
        """Decide these, and what their ends decide, each once and after everything that it depends on."""
        for node in steps:
            self._left[node.id] = self._waits_for(node)
        ready = deque(node for node in steps if not self._left[node.id])
        while ready:
            node = ready.popleft()
            self._decide(node)
            if node.id not in self._start:
                ready.extend(self._released_by(node))

    def plan(self, unfinished: int | None, failed: Callable[[], bool] | None) -> Plan:
        """What has been decided, in the order of the steps."""
        return Plan(
            start=tuple(id for id in self._nodes if id in self._start),
            skip=tuple((id, self._skip[id]) for id in self._nodes if id in self._skip),
            fail=tuple((id, self._fail[id]) for id in self._nodes if id in self._fail),
            outcome=self._outcome(unfinished, failed or (lambda: False)),
        )

    def _decide(self, node: Node) -> None:
        reason = self._reason_to_skip(node)
        holds = not reason and (not node.guarded or self._holds(node.id))
        if isinstance(holds, str):
            self._fail[node.id] = holds
        elif holds:
            self._start.add(node.id)
        else:
            self._skip[node.id] = reason or DOES_NOT_HOLD

    def _reason_to_skip(self, node: Node) -> str:
        """Why it is skipped whatever its `when` says, or ""."""
        needed = [(self._nodes[id], self._status(id)) for id in node.depends_on]
        for need, status in needed:
            if status == CANCELLED or (status == FAILED and _is_fatal(need)):
                return f"{need.id} failed." if status == FAILED else f"{need.id} was cancelled."
        if needed and all(status == SKIPPED for _, status in needed):
            return ALL_SKIPPED
        shut = [need.id for need, _ in needed if need.gate is False and not node.guarded]
        return f"{shut[0]} is false." if shut else ""

    def _released_by(self, ended: Node) -> Iterable[Node]:
        """The steps that waited for this one alone."""
        for node in self._after[ended.id]:
            known = self._left.get(node.id)
            self._left[node.id] = self._waits_for(node) if known is None else known - 1
            if self._left[node.id] == 0:
                yield node

    def _waits_for(self, node: Node) -> int:
        return sum(self._status(id) not in ENDED for id in node.depends_on)

    def _status(self, id: str) -> str:
        """The step's status as this plan leaves it."""
        if id in self._skip:
            return SKIPPED
        return FAILED if id in self._fail else self._nodes[id].status

    def _outcome(self, unfinished: int | None, failed: Callable[[], bool]) -> str | None:
        if unfinished is None:
            unfinished = sum(node.status not in ENDED for node in self._nodes.values())
        if unfinished > len(self._skip) + len(self._fail):
            return None
        fatal = any(self._status(node.id) == FAILED and _is_fatal(node) for node in self._nodes.values())
        return FAILED if fatal or failed() else COMPLETED


def _dependents(nodes: Iterable[Node]) -> Mapping[str, Sequence[Node]]:
    """Of each step, those that depend on it and have not begun."""
    after: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        if node.status == PENDING:
            for id in node.depends_on:
                after[id].append(node)
    return after


def _is_fatal(node: Node) -> bool:
    return node.on_failure != "continue"
