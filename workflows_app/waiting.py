"""Waiting for a workflow's end, for callers that ask for it (`Prefer: wait=<seconds>`, RFC 7240)."""

import re
from collections.abc import Callable
from functools import partial

from django.http import HttpRequest

from taskmaster.api.envelope import Reply
from taskmaster.api.waits import Wait
from taskmaster.core.errors import NotFound
from taskmaster.core.prepared import Select, Slot

from .models import Workflow

_WORKFLOW = Select(lambda: Workflow.objects.filter(pk=Slot("pk")))
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,6})(?=$|[,;\s])", re.ASCII | re.IGNORECASE)
LONGEST = 600


def seconds_of(request: HttpRequest) -> int:
    """How long the caller would rather wait: 0 where it does not say, at most ten minutes."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST) if found else 0


def until_it_ends(workflow: Workflow, request: HttpRequest, show: Callable[[Workflow], Reply]) -> Reply:
    """The workflow as `show` shows it: when it has ended, or as it is when the caller waits no longer."""
    answer, seconds = show(workflow), seconds_of(request)
    if seconds and workflow.status not in Workflow.FINISHED:
        answer.wait = Wait(
            key=f"workflow:{workflow.pk}", seconds=seconds, finish=partial(_now, workflow.pk, show), ended=_ended
        )
        answer["Preference-Applied"] = f"wait={seconds}"
    return answer


def _now(pk: str, show: Callable[[Workflow], Reply]) -> Reply:
    found = _WORKFLOW.first(pk=pk)
    if found is None:
        raise NotFound()
    return show(found)


def _ended(keys: list[str]) -> set[str]:
    ids = [key.removeprefix("workflow:") for key in keys]
    finished = Workflow.objects.filter(pk__in=ids, status__in=Workflow.FINISHED)
    return {f"workflow:{pk}" for pk in finished.values_list("pk", flat=True)}
