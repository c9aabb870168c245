"""The checker of histories sees what is wrong with one."""

import pytest

from .legal import Rows, complaints

STEP = {"result": None, "on_failure": "fail", "attempt": 1, "type": "agent", "status": "completed"}
TASK = {"id": "t1", "status": "completed", "attempts": 1}


def made(kind, **data):
    return kind, data


def history():
    """Two steps, one after the other."""
    events = [made("workflow.created"), made("workflow.started")]
    for number, key in enumerate("ab", 1):
        events += [
            made("task.queued", taskId=f"t{number}"),
            made("workflow.step.started", stepId=key, attempt=1),
            made("task.started", taskId=f"t{number}"),
            made("task.completed", taskId=f"t{number}"),
            made("workflow.step.completed", stepId=key, result=None),
        ]
    return [*events, made("workflow.completed"), made("workflow.finished", status="completed")]


def rows():
    steps = [STEP | {"key": "a", "needs": []}, STEP | {"key": "b", "needs": ["a"]}]
    attempts = [{"key": key, "number": 1, "finished_at": 1, "task_id": f"t{n}"} for n, key in enumerate("ab", 1)]
    workflow = {"status": "completed", "left": 0, "total": 2, "error": None}
    return Rows(workflow, steps, attempts, [TASK, TASK | {"id": "t2"}], [])


def test_a_history_that_could_have_happened_is_legal():
    assert complaints(history(), rows()) == []


def swapped(events, one, other):
    events[one], events[other] = events[other], events[one]


def row(name, **changes):
    """Another row than the events tell of."""

    def spoil(events, rows):
        found = getattr(rows, name)
        (found if name == "workflow" else found[-1]).update(changes)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda e, r: e.append(e[3]), "a started while it was completed"),
        (lambda e, r: swapped(e, 6, 8), "b started before a"),
        (lambda e, r: e.insert(1, made("workflow.paused")), "workflow.paused while it was created"),
        (lambda e, r: e.pop(), "an end without workflow.finished"),
        (lambda e, r: e.append(e[-1]), "workflow.finished with completed while it was completed"),
        (lambda e, r: e.insert(7, e[5]), "t1 is completed and its end was told 2 times"),
        (row("workflow", left=1), "1 of 2 are left, and really 0 of 2"),
        (row("workflow", status="running"), "the workflow is running, and completed by its events"),
        (row("steps", status="running"), "b is running, and completed by its events"),
        (row("steps", result=1), "b has another result than was told"),
        (row("steps", attempt=2), "b is at attempt 2 and has [1]"),
        (row("attempts", finished_at=None), "attempt 1 of b never ended"),
        (row("attempts", task_id="t1"), "one task for several attempts: ['t1']"),
        (row("tasks", status="running"), "t2 is running"),
        (lambda e, r: r.actions.append({"id": "action_1", "status": "pending"}), "action_1 is still open"),
    ],
)
def test_what_is_wrong_is_told(spoil, expected):
    events, found = history(), rows()
    spoil(events, found)
    assert expected in complaints(events, found)
