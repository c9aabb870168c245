"""The steps of a workflow as HTML: each with its state, its attempts, and what it waits for."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models.functions import Substr
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator

from agents_app.models import Action
from taskmaster.core.clock import iso
from taskmaster.events.admin import NOTHING, link

from .approvals import subject_of
from .models import StepAttempt, Workflow, WorkflowStep

SHOWN, EXCERPT = 200, 300
COLOURS = {
    WorkflowStep.RUNNING: "rgba(56,139,253,.25)",
    WorkflowStep.WAITING: "rgba(210,153,34,.25)",
    WorkflowStep.COMPLETED: "rgba(46,160,67,.25)",
    WorkflowStep.FAILED: "rgba(248,81,73,.25)",
}
CELL = "padding:4px 10px;vertical-align:top;white-space:nowrap"
TEXT = "padding:4px 10px;vertical-align:top;overflow-wrap:anywhere;width:50%"
TABLE = (
    '<table style="width:100%"><thead><tr><th>Step</th><th>Type</th><th>Status</th><th>Attempts</th>'
    "<th>Result or error</th></tr></thead><tbody>{}</tbody></table>{}"
)
ROW = format_html(
    '<tr><td style="{0};white-space:normal"><b>{{}}</b><br>{{}}</td><td style="{0}">{{}}</td>'
    '<td style="{0}"><span style="padding:1px 6px;border-radius:4px;background:{{}}">{{}}</span></td>'
    '<td style="{0}">{{}}</td><td style="{1}">{{}}</td></tr>',
    CELL,
    TEXT,
)


def steps_of(workflow: Workflow) -> str:
    """A table of the first steps, by three queries however many there are."""
    rows = WorkflowStep.objects.filter(workflow=workflow).order_by("position")
    # Results may be long, and so may what templates say.
    found = list(rows.annotate(began=Substr("result", 1, EXCERPT + 1)).defer("result", "definition")[: SHOWN + 1])
    shown = found[:SHOWN]
    attempts, questions = _attempts(shown), _questions(shown)
    body = format_html_join("", ROW, (_cells(step, attempts[step.pk], questions) for step in shown))
    more = format_html("<p>Only the first {} steps are shown.</p>", SHOWN) if len(found) > SHOWN else ""
    return format_html(TABLE, body, more)


def _cells(step: Any, attempts: list[StepAttempt], questions: dict[str, str]) -> tuple[Any, ...]:
    question = questions.get(subject_of(step))
    tried = format_html_join("", "<div>{}. {} {} {}</div>", (_attempt(attempt) for attempt in attempts)) or NOTHING
    outcome = Truncator(step.error or step.began or NOTHING).chars(EXCERPT)
    if question:
        outcome = link("agents_app_action", question, "Decide")
    return step.name, step.key, step.type, COLOURS.get(step.status, "rgba(128,128,128,.2)"), step.status, tried, outcome


def _attempt(attempt: StepAttempt) -> tuple[Any, ...]:
    took = attempt.public()["duration"]
    span = f"from {iso(attempt.started_at)}" if took is None else f"{took} ms"
    status: Any = attempt.status
    if attempt.error:
        status = format_html('<span title="{}">{}</span>', Truncator(attempt.error).chars(EXCERPT), status)
    return attempt.number, status, span, link("agents_app_task", attempt.task_id, "task") if attempt.task_id else ""


def _attempts(steps: Iterable[WorkflowStep]) -> dict[int, list[StepAttempt]]:
    found: defaultdict[int, list[StepAttempt]] = defaultdict(list)
    for attempt in StepAttempt.objects.filter(step__in=[step.pk for step in steps]).order_by("number"):
        found[attempt.step_id].append(attempt)
    return found


def _questions(steps: Iterable[WorkflowStep]) -> dict[str, str]:
    """The open questions: what each is about, and the action's id."""
    waiting = [step for step in steps if step.type == "approval" and step.status == WorkflowStep.WAITING]
    subjects = [subject_of(step) for step in waiting]
    if not subjects:
        return {}
    return dict(Action.objects.filter(subject__in=subjects, status=Action.PENDING).values_list("subject", "pk"))
