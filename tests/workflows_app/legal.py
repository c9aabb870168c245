"""Whether what happened to a workflow could have happened: its events, in order, against its rows as they are now."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Event = tuple[str, Json]

ENDED = ("completed", "failed", "skipped", "cancelled")
LIVE = ("running", "waiting")
# What each event makes of a workflow, and out of which states.
WORKFLOW = {
    "created": ((None,), "created"),
    "started": (("created", "failed"), "running"),
    "paused": (("running",), "paused"),
    "resumed": (("paused",), "running"),
    "completed": (("running",), "completed"),
    "failed": (("running",), "failed"),
    "cancelled": (("created", "running", "paused"), "cancelled"),
}
STEP = {
    "started": (("pending", "waiting"), "running"),
    "waiting": (("pending", "running"), "waiting"),
    "completed": (("pending", "running", "waiting"), "completed"),
    "failed": (("pending", "running", "waiting"), "failed"),
    "skipped": (("pending",), "skipped"),
}
TASK_ENDS = ("task.completed", "task.failed", "task.cancelled")


@dataclass
class Rows:
    """A workflow as it is stored, wherever that was read: each as a dictionary with the model's names."""

    workflow: Json
    steps: list[Json]  # in the template's order, each with `needs`: the keys it depends on
    attempts: list[Json]  # with `key`, their step's
    tasks: list[Json]
    actions: list[Json]
    items: list[Json] = field(default_factory=list)  # with `key`, their step's


def complaints(events: Iterable[Event], rows: Rows) -> list[str]:
    """All that is wrong; nothing, if all of it could have happened."""
    told = list(events)
    history = _History(rows)
    history.read(told)
    wrong = [*history.wrong, *_workflow_row(history, rows), *_step_rows(history, rows), *_attempt_rows(rows)]
    wrong += _tasks(told, rows)
    if rows.workflow["status"] in ("completed", "failed", "cancelled"):
        wrong += _left_behind(rows)
    return wrong


class _History:
    """Reads the events one after the other, and keeps the states that they lead to."""

    def __init__(self, rows: Rows) -> None:
        self.wrong: list[str] = []
        self.status: str | None = None
        self.needs = {step["key"]: list(step["needs"]) for step in rows.steps}
        self.steps = dict.fromkeys(self.needs, "pending")
        self.attempts = dict.fromkeys(self.needs, 0)
        self.completed: dict[str, Json] = {}
        self._end_told = True

    def read(self, events: list[Event]) -> None:
        """Take all of them."""
        for kind, data in events:
            name = kind.removeprefix("workflow.")
            if kind == "workflow.finished":
                self._finished(data)
            elif kind.startswith("workflow.step."):
                self._step(kind.removeprefix("workflow.step."), data)
            elif kind.startswith("workflow."):
                self._workflow(name)
        if not self._end_told:
            self.wrong.append("an end without workflow.finished")

    def _workflow(self, name: str) -> None:
        before, after = WORKFLOW[name]
        if after == "completed" and not set(self.steps.values()) <= set(ENDED):
            self.wrong.append(f"completed with {self.steps}")
        if self.status not in before:
            self.wrong.append(f"workflow.{name} while it was {self.status}")
        if name == "started" and self.status == "failed":
            # Retried (from its failed steps): what had not ended well begins anew.
            self.steps = {key: state if state == "completed" else "pending" for key, state in self.steps.items()}
        if after in ("completed", "failed", "cancelled"):
            self._end_told = False
            # What had not ended is cancelled with it, of which no event tells.
            self.steps = {key: state if state in ENDED else "cancelled" for key, state in self.steps.items()}
        self.status = after

    def _finished(self, data: Json) -> None:
        if self._end_told or data["status"] != self.status:
            self.wrong.append(f"workflow.finished with {data['status']} while it was {self.status}")
        self._end_told = True

    def _step(self, name: str, data: Json) -> None:
        key = data["stepId"]
        before, after = STEP[name]
        state = self.steps[key]
        if state not in before:
            self.wrong.append(f"{key} {name} while it was {state}")
        if state == "pending":
            self._needs_have_ended(key, name)
        # What runs goes on while the workflow is paused; it may fail, and then wait for its next attempt.
        goes_on = name in ("completed", "failed") or (name, state) == ("waiting", "running")
        allowed = ("running", "paused") if goes_on else ("running",)
        if self.status not in allowed:
            self.wrong.append(f"{key} {name} while the workflow was {self.status}")
        if name == "started":
            self.attempts[key] += 1
            if data["attempt"] != self.attempts[key]:
                self.wrong.append(f"{key} started as {data['attempt']}, the {self.attempts[key]}. time")
        if name == "completed":
            self.completed[key] = data
        self.steps[key] = after

    def _needs_have_ended(self, key: str, name: str) -> None:
        early = [need for need in self.needs[key] if self.steps[need] not in ENDED]
        if early:
            self.wrong.append(f"{key} {name} before {', '.join(early)}")


def _workflow_row(history: _History, rows: Rows) -> Iterator[str]:
    row = rows.workflow
    unfinished = sum(step["status"] not in ENDED or step["status"] == "cancelled" for step in rows.steps)
    if row["status"] != history.status:
        yield f"the workflow is {row['status']}, and {history.status} by its events"
    if (row["left"], row["total"]) != (unfinished, len(rows.steps)):
        yield f"{row['left']} of {row['total']} are left, and really {unfinished} of {len(rows.steps)}"
    failed = [s["key"] for s in rows.steps if s["status"] == "failed" and s["on_failure"] != "continue"]
    if row["status"] == "completed" and failed:
        yield f"completed although {failed} failed"
    if (row["status"] == "failed") != bool(row["error"]):
        yield f"{row['status']} with the error {row['error']!r}"


def _step_rows(history: _History, rows: Rows) -> Iterator[str]:
    for step in rows.steps:
        key, told = step["key"], history.steps[step["key"]]
        if step["status"] != told:
            yield f"{key} is {step['status']}, and {told} by its events"
        if step["status"] == "completed" and step["result"] != history.completed[key]["result"]:
            yield f"{key} has another result than was told"


def _attempt_rows(rows: Rows) -> Iterator[str]:
    numbers = defaultdict(list)
    for attempt in rows.attempts:
        numbers[attempt["key"]].append(attempt["number"])
    by_key = {step["key"]: step for step in rows.steps}
    for key, step in by_key.items():
        if sorted(numbers[key]) != list(range(1, step["attempt"] + 1)):
            yield f"{key} is at attempt {step['attempt']} and has {sorted(numbers[key])}"
    for attempt in rows.attempts:
        step = by_key[attempt["key"]]
        current = attempt["number"] == step["attempt"] and step["status"] in LIVE
        if attempt["finished_at"] is None and not current:
            yield f"attempt {attempt['number']} of {attempt['key']} never ended"


def _tasks(events: list[Event], rows: Rows) -> Iterator[str]:
    told = defaultdict(Counter[str])
    for kind, data in events:
        if kind.startswith("task."):
            told[data["taskId"]][kind] += 1
    for task in rows.tasks:
        counts, status = told[task["id"]], task["status"]
        ends = sum(counts[end] for end in TASK_ENDS)
        if ends != (status in ("completed", "failed", "cancelled")):
            yield f"{task['id']} is {status} and its end was told {ends} times"
        if ends and not counts[f"task.{status}"]:
            yield f"{task['id']} is {status}, and by its events {dict(counts)}"
        if counts["task.started"] != task["attempts"]:
            yield f"{task['id']} was started {counts['task.started']} times and has {task['attempts']} attempts"
    per_attempt = Counter(attempt["task_id"] for attempt in rows.attempts if attempt["task_id"])
    if double := [task for task, count in per_attempt.items() if count > 1]:
        yield f"one task for several attempts: {double}"
    # The tasks of items are told of nowhere else.
    if not any(step["type"] == "foreach" for step in rows.steps):
        strays = {task["id"] for task in rows.tasks} - set(per_attempt)
        yield from (f"{stray} is of no attempt" for stray in strays)


def _left_behind(rows: Rows) -> Iterator[str]:
    """What a workflow that has ended must not have any more, after a sweep."""
    yield from (f"{s['key']} is {s['status']}" for s in rows.steps if s["status"] not in ENDED)
    unfinished = ("queued", "running", "waiting")
    yield from (f"{task['id']} is {task['status']}" for task in rows.tasks if task["status"] in unfinished)
    yield from (f"{action['id']} is still open" for action in rows.actions if action["status"] == "pending")
    yield from (
        f"item {i['index']} of {i['key']} is {i['status']}" for i in rows.items if i["status"] in ("pending", "running")
    )
