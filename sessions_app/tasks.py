"""What Celery runs for sessions."""

from celery import shared_task

from agents_app import workspaces
from agents_app.models import Task

from .lifecycle import cancel_tasks_of, expire
from .models import Session

WORKSPACES_AT_ONCE = 500


@shared_task(name="sessions.sweep")
def sweep() -> None:
    """Expire idle sessions, and finish what a deletion could not finish."""
    idle = Session.objects.filter(Session.idle(), deleted_at=None)
    for session_id in idle.values_list("pk", flat=True)[:500]:
        expire(session_id)
    left = Task.objects.filter(status__in=Task.UNFINISHED, session_id__isnull=False).values("session_id")
    for session_id in Session.objects.filter(deleted_at__isnull=False, pk__in=left).values_list("pk", flat=True):
        cancel_tasks_of(session_id)
    _clear_up()


def _clear_up() -> None:
    """Remove the directories that deleted sessions have left."""
    workspaces.tidy()
    there = workspaces.some(WORKSPACES_AT_ONCE)
    deleted = Session.objects.filter(pk__in=[session_id for _, session_id in there], deleted_at__isnull=False)
    for org_id, session_id in deleted.values_list("org_id", "pk"):
        workspaces.remove(org_id, session_id)
