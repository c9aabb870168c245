"""The numbers of workflows are counted, and what the retention lets go is gone."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from taskmaster.core.clock import now
from taskmaster.monitoring.metrics import exposition
from taskmaster.monitoring.models import WebServer
from taskmaster.monitoring.process import process
from taskmaster.monitoring.tasks import sweep
from tests.workflows_app.working import Runs, agent, step
from workflows_app.models import StepAttempt, StepLink, TriggerDelivery, Workflow, WorkflowStep

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(alice):
    """One workflow in each state that is no end, and two that have ended."""
    runs = Runs(alice)
    runs.made(agent("a"))
    runs.started(step("ok", "approval"))
    runs.act(runs.started(step("ok", "approval")), "pause")
    runs.act(runs.started(agent("a"), agent("b", "a")), "cancel")
    failed = runs.started(step("ok", "approval"))
    runs.act(failed, "signal", {"stepId": "ok", "approved": False})
    return runs


def status_of(who):
    return who.get("/system/status").json()["status"]["orchestrator"]["systemWatcher"]["workflowCount"]


def test_the_status_counts_the_workflows_on_their_way_of_the_callers_organization(runs, alice, charlie):
    assert (status_of(alice), status_of(charlie)) == (2, 0)


def test_the_status_counts_connections_here_as_they_are_and_elsewhere_as_they_were_told(alice, monkeypatch):
    monkeypatch.setattr(process, "connections", lambda: 7)
    # Our own heartbeat may be seconds old.
    WebServer.objects.create(pk=process._row.pk, host="here", pid=1, connections=100, beat_at=Now())
    WebServer.objects.create(host="there", pid=2, connections=5, beat_at=Now())
    WebServer.objects.create(host="gone", pid=3, connections=50, beat_at=now() - timedelta(minutes=5))
    middleware = alice.get("/system/status").json()["status"]["middleware"]
    assert middleware["agentAPI"]["connections"] == 12


def test_the_usage_counts_all_of_them_by_status(runs, alice, charlie):
    assert alice.get("/org/usage").json()["usage"]["workflows"] == {
        "created": 1,
        "running": 1,
        "paused": 1,
        "cancelled": 1,
        "failed": 1,
    }
    assert charlie.get("/org/usage").json()["usage"]["workflows"] == {}


def test_the_metrics_count_those_that_have_not_ended(runs):
    lines = exposition().decode().splitlines()
    for status in ("created", "running", "paused"):
        assert f'taskmaster_workflows{{status="{status}"}} 1.0' in lines


def test_old_workflows_go_with_their_steps_where_a_retention_is_set(runs, settings):
    Workflow.objects.update(created_at=Now() - timedelta(days=40))
    Workflow.objects.filter(status="cancelled").update(finished_at=now() - timedelta(days=31))
    Workflow.objects.filter(status="failed").update(finished_at=now() - timedelta(days=29))
    sweep()
    assert Workflow.objects.count() == 5
    settings.RETENTION = settings.RETENTION | {"workflows": 30 * 86_400}
    sweep()
    assert sorted(Workflow.objects.values_list("status", flat=True)) == ["created", "failed", "paused", "running"]
    assert WorkflowStep.objects.count() == 4
    assert (StepLink.objects.count(), StepAttempt.objects.filter(step__workflow__status="cancelled").count()) == (0, 0)


def test_deliveries_are_remembered_for_a_week(runs, alice):
    trigger = alice.post("/triggers", {"templateId": runs.template(agent("a"))}).json()["trigger"]["id"]
    for key, days in (("old", 8), ("new", 6)):
        TriggerDelivery.objects.create(
            trigger_id=trigger, key=key, fingerprint="x", created_at=now() - timedelta(days=days)
        )
    sweep()
    assert [delivery.key for delivery in TriggerDelivery.objects.all()] == ["new"]
