"""Two or more after the same workflow at the same moment: what must hold whoever is first."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models.functions import Now

from agents_app import continuing, leases
from agents_app.continuing import Place
from agents_app.models import Agent, Task
from tests.api.racing import at_once
from workflows_app import lifecycle, waking
from workflows_app.models import StepAttempt, Workflow, WorkflowStep

from .stored import check
from .working import Runs, agent, step

Race = Callable[[Runs], None]


def end(task: Task, **result: Any) -> bool:
    """A worker ends a task well and would take the next one in its place."""
    place = Place("worker_x", task, lambda agent: True, lambda task: None)
    with continuing.offered(place):
        return leases.complete(task, result={"content": "done"} | result)


def held(runs: Runs) -> list[Task]:
    """The tasks that a worker holds, everything claimed that can be."""
    runs.running()
    return list(leases.held().filter(agent=runs.agent).select_related("agent").order_by("id"))


def clear() -> None:
    """Call off what a race has left: its tasks are not the next one's."""
    for workflow in Workflow.objects.exclude(status__in=Workflow.FINISHED):
        lifecycle.cancel(workflow)


def act(runs: Runs, workflow: str, verb: str, body: Any = None) -> Callable[[], int]:
    """The status of a call, once it is made."""
    return lambda: int(runs.act(workflow, verb, body).status_code)


def twenty_starts_have_one_winner(runs: Runs) -> None:
    """One 200, nineteen 409, one task."""
    workflow = runs.made(agent("a"), agent("b", "a"))
    answers = at_once(*[act(runs, workflow, "start")] * 20)
    assert sorted(answers) == [200] + [409] * 19
    assert Task.objects.filter(workflow_id=workflow).count() == 1
    assert check(workflow) == "running"


def a_pause_and_the_end_of_the_last_step(runs: Runs) -> None:
    """Paused with nothing left, and completed by resuming; or completed, and nothing to be paused."""
    workflow = runs.started(agent("a"))
    (task,) = held(runs)
    paused, ended = at_once(act(runs, workflow, "pause"), partial(end, task))
    assert ended
    assert (paused, check(workflow)) in ((200, "paused"), (409, "completed"))
    if paused == 200:
        assert runs.act(workflow, "resume").status_code == 200
    assert check(workflow) == "completed"


def a_cancel_and_a_resume(runs: Runs) -> None:
    """Cancelled in any case."""
    workflow = runs.started(agent("a"), agent("b", "a"))
    assert runs.act(workflow, "pause").status_code == 200
    cancelled, resumed = at_once(act(runs, workflow, "cancel"), act(runs, workflow, "resume"))
    assert (cancelled, resumed) in ((200, 200), (200, 409))
    assert check(workflow) == "cancelled"


def a_cancel_and_the_end_of_a_task(runs: Runs) -> None:
    """The step has ended, or was cancelled; what comes after it never begins."""
    workflow = runs.started(agent("a"), agent("b", "a"))
    (task,) = held(runs)
    cancelled, ended = at_once(act(runs, workflow, "cancel"), partial(end, task))
    assert cancelled == 200
    assert check(workflow) == "cancelled"
    assert runs.states(workflow)["b"] == "cancelled"
    assert runs.states(workflow)["a"] in (("completed", "cancelled") if ended else ("cancelled",))


def a_cancel_and_the_end_of_the_last_task(runs: Runs) -> None:
    """One of them ends the workflow."""
    workflow = runs.started(agent("a"))
    (task,) = held(runs)
    cancelled, _ = at_once(act(runs, workflow, "cancel"), partial(end, task))
    assert (cancelled, check(workflow)) in ((200, "cancelled"), (409, "completed"))


def both_arms_of_a_diamond_at_once(runs: Runs) -> None:
    """The join starts once."""
    workflow = runs.started(agent("a"), agent("b", "a"), agent("c", "a"), agent("d", "b", "c"))
    (first,) = held(runs)
    assert end(first)
    arms = held(runs)
    assert at_once(*[partial(end, arm) for arm in arms]) == [True, True]
    assert StepAttempt.objects.filter(step__workflow=workflow, step__key="d").count() == 1
    (last,) = held(runs)
    assert end(last)
    assert check(workflow) == "completed"


def eight_items_at_once(runs: Runs) -> None:
    """The step ends once, with all of their results in order."""
    inner = {"type": "agent", "agentType": "custom", "prompt": "{{ item }}"}
    each = step("each", "foreach", items="context.list", parallel=8, step=inner)
    workflow = runs.started(each, agent("z", "each"), context={"list": list(range(8))})
    tasks = held(runs)
    assert len(tasks) == 8
    assert all(at_once(*[partial(end, task, n=int(task.description)) for task in tasks]))
    states = runs.states(workflow)
    assert (states["each"], states["z"]) == ("completed", "running")
    (last,) = held(runs)
    assert end(last)
    assert check(workflow) == "completed"
    result = WorkflowStep.objects.get(workflow=workflow, key="each").result
    assert [item["n"] for item in result["items"]] == list(range(8))


def more_items_than_places_at_once(runs: Runs) -> None:
    """Never more than `parallel` run, and each runs once."""
    inner = {"type": "agent", "agentType": "custom", "prompt": "{{ item }}"}
    each = step("each", "foreach", items="context.list", parallel=3, step=inner)
    workflow = runs.started(each, context={"list": list(range(7))})
    while tasks := held(runs):
        assert len(tasks) <= 3
        assert all(at_once(*[partial(end, task) for task in tasks]))
    assert Task.objects.filter(workflow_id=workflow).count() == 7
    assert check(workflow) == "completed"


def a_signal_and_a_timeout(runs: Runs) -> None:
    """Somebody decided, or nobody did in time."""
    workflow = runs.started(step("ok", "approval", timeout=60_000), agent("b", "ok"))
    WorkflowStep.objects.filter(workflow=workflow, key="ok").update(wake_at=Now() - timedelta(seconds=1))
    signal = act(runs, workflow, "signal", {"stepId": "ok", "approved": True})
    signalled, _ = at_once(signal, partial(waking.wake, workflow))
    state = check(workflow)
    assert (signalled, state, runs.states(workflow)["ok"]) in ((200, "running", "completed"), (409, "failed", "failed"))


def two_signals_at_once(runs: Runs) -> None:
    """The first one counts, the opposite one is told."""
    workflow = runs.started(step("ok", "approval"), agent("b", "ok"))
    yes, no = (act(runs, workflow, "signal", {"stepId": "ok", "approved": approved}) for approved in (True, False))
    answers = at_once(yes, no)
    assert sorted(answers) == [200, 409]
    assert runs.states(workflow)["ok"] == ("completed" if answers[0] == 200 else "failed")
    check(workflow)


def the_same_signal_twice_at_once(runs: Runs) -> None:
    """Both are right."""
    workflow = runs.started(step("ok", "approval"), agent("b", "ok"))
    signal = act(runs, workflow, "signal", {"stepId": "ok", "approved": True})
    assert at_once(signal, signal) == [200, 200]
    assert runs.states(workflow) == {"ok": "completed", "b": "running"}
    assert check(workflow) == "running"


def a_signal_and_the_beginning_of_its_wait(runs: Runs) -> None:
    """It is heard, early or not."""
    workflow = runs.started(agent("a"), step("ok", "approval", "a"), agent("b", "ok"))
    (task,) = held(runs)
    signal = act(runs, workflow, "signal", {"stepId": "ok", "approved": True})
    assert at_once(signal, partial(end, task)) == [200, True]
    assert runs.states(workflow) == {"a": "completed", "ok": "completed", "b": "running"}
    assert check(workflow) == "running"


def four_retries_have_one_winner(runs: Runs) -> None:
    """The failed step runs once more."""
    workflow = runs.started(agent("a"), agent("b", "a"))
    (task,) = held(runs)
    assert leases.fail(task, error="no", code="refused")
    answers = at_once(*[act(runs, workflow, "retry")] * 4)
    assert sorted(answers) == [200, 409, 409, 409]
    assert check(workflow) == "running"
    assert runs.states(workflow) == {"a": "running", "b": "pending"}


def a_retry_and_what_cancels_the_rest(runs: Runs) -> None:
    """Whoever clears up after a run that took too long leaves alone what is wanted again."""
    workflow = runs.started(agent("a"))
    held(runs)
    type(runs).late(workflow)
    answers = at_once(partial(waking.wake, workflow), act(runs, workflow, "retry"))
    if answers[1] == 409:
        assert runs.act(workflow, "retry").status_code == 200
    assert check(workflow) == "running"
    assert runs.states(workflow) == {"a": "running"}


def a_task_is_cancelled_and_ends(runs: Runs) -> None:
    """The step has failed or is completed, once."""
    workflow = runs.started(agent("a"), agent("b", "a", when="steps.a.status == 'completed'"))
    (task,) = held(runs)
    cancelled, ended = at_once(
        lambda: runs.person.post(f"/tasks/{task.pk}/cancel").status_code, partial(end, Task.objects.get(pk=task.pk))
    )
    assert (cancelled, ended) in ((200, False), (409, True))
    assert runs.states(workflow)["a"] == ("completed" if ended else "failed")
    check(workflow)


def limits_are_kept_by_those_who_go_on(runs: Runs) -> None:
    """Six chains on an agent that may run three, with workers that claim and workers that go on: never a fourth."""
    Agent.objects.filter(pk=runs.agent).update(max_concurrent_tasks=3)
    workflows = [runs.started(agent("a"), agent("b", "a"), agent("c", "b")) for _ in range(6)]
    while tasks := held(runs):
        assert len(tasks) <= 3
        calls = [partial(end, task) for task in tasks]
        claims = [partial(leases.claim, runs.agent, f"worker_{n}", 3, ready=lambda agent: True) for n in range(2)]
        at_once(*calls, *claims)
        assert leases.held().filter(agent=runs.agent).count() <= 3
    assert {check(workflow) for workflow in workflows} == {"completed"}
    Agent.objects.filter(pk=runs.agent).update(max_concurrent_tasks=100)


RACES: tuple[Race, ...] = (
    twenty_starts_have_one_winner,
    a_pause_and_the_end_of_the_last_step,
    a_cancel_and_a_resume,
    a_cancel_and_the_end_of_a_task,
    a_cancel_and_the_end_of_the_last_task,
    both_arms_of_a_diamond_at_once,
    eight_items_at_once,
    more_items_than_places_at_once,
    a_signal_and_a_timeout,
    two_signals_at_once,
    the_same_signal_twice_at_once,
    a_signal_and_the_beginning_of_its_wait,
    four_retries_have_one_winner,
    a_retry_and_what_cancels_the_rest,
    a_task_is_cancelled_and_ends,
    limits_are_kept_by_those_who_go_on,
)
