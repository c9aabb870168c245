"""`Prefer: wait=…`: an answer as soon as the workflow has ended."""

import pytest

from workflows_app.models import Workflow
from workflows_app.waiting import _ended

from .working import Runs, agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(alice):
    return Runs(alice)


def waiting(response):
    """How long the edge would hold the request, by its key; None where it would not."""
    wait = response.wait
    return None if wait is None else (wait.key, wait.seconds)


def test_a_start_that_waits_tells_how_it_ended(runs, alice):
    workflow = runs.made(agent("a"))
    response = alice.post(f"/workflows/{workflow}/start", {}, prefer="respond-async, wait=30")
    assert (response.json()["status"], waiting(response)) == ("running", (f"workflow:{workflow}", 30))
    assert response["Preference-Applied"] == "wait=30"
    assert response.wait.finish().status_code == 200
    assert _ended([response.wait.key]) == set()
    runs.complete("a")
    assert _ended([response.wait.key, "workflow:workflow_none"]) == {response.wait.key}
    assert b'"status":"completed"' in response.wait.finish().content


def test_a_read_that_waits_is_the_whole_workflow(runs, alice):
    workflow = runs.started(agent("a"))
    response = alice.get(f"/workflows/{workflow}", prefer="wait=5")
    assert waiting(response) == (f"workflow:{workflow}", 5)
    runs.complete("a")
    assert b'"result":{"content":"a done"}' in response.wait.finish().content
    assert waiting(alice.get(f"/workflows/{workflow}", prefer="wait=5")) is None


@pytest.mark.parametrize(
    ("prefer", "seconds"), [("wait=0", None), ("wait=9999", 600), ("await=5", None), ("wait=x", None), ("", None)]
)
def test_only_what_is_a_wait_is_one(runs, alice, prefer, seconds):
    workflow = runs.started(agent("a"))
    found = waiting(alice.get(f"/workflows/{workflow}", prefer=prefer))
    assert found == (None if seconds is None else (f"workflow:{workflow}", seconds))


def test_every_end_wakes_who_waits(runs, alice, django_capture_on_commit_callbacks, monkeypatch):
    heard = []
    monkeypatch.setattr("taskmaster.core.wakeups.hub.send", lambda key, data=None: heard.append(key))
    for act in ("complete", "fail", "cancel"):
        workflow = runs.started(agent("a"))
        with django_capture_on_commit_callbacks(execute=True):
            if act == "cancel":
                runs.act(workflow, "cancel")
            else:
                getattr(runs, act)("a")
        assert f"workflow:{workflow}" in heard
        assert Workflow.objects.get(pk=workflow).status in Workflow.FINISHED
