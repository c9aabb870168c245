"""`http` steps: what is sent, and how often."""

import pytest

from agents_app import leases
from agents_app.models import Agent
from tests.api.working import break_down
from workflows_app import waking
from workflows_app.models import StepAttempt

from .working import Runs, step

pytestmark = pytest.mark.django_db


@pytest.fixture
def runs(alice):
    return Runs(alice)


def requester(runs):
    """The agent that sends the organization's requests."""
    return Agent.objects.get(org=runs.person.org, internal=True)


def test_what_is_sent_is_filled_in(runs):
    sent = {"method": "POST", "headers": {"X-Key": "{{ context.key }}"}, "body": {"n": "{{ context.n }}"}}
    runs.started(step("h", "http", url="https://x.example/{{ context.n }}", **sent), context={"n": 3, "key": "k"})
    (task,) = leases.claim(requester(runs).pk, "worker_x", 1, ready=lambda agent: True).tasks
    assert task.context["request"] == {
        "method": "POST",
        "url": "https://x.example/3",
        "headers": {"Content-Type": "application/json", "X-Key": "k"},
        "body": '{"n":3}',
        "expect": None,
    }


def test_a_header_with_a_line_break_is_a_failed_step_with_the_reason(runs):
    sent = step("h", "http", url="https://x.example/", headers={"X-Key": "{{ context.key }}"})
    shown = runs.shown(runs.started(sent, context={"key": "a\r\nX-Other: b"}))
    assert shown["steps"][0]["error"] == "headers.X-Key: may not have line breaks or control characters"


def test_retries_are_attempts_of_the_step(runs):
    workflow = runs.started(step("h", "http", url="https://x.example/", retries=1, retryDelay=0))
    break_down(requester(runs).pk, "it answered 503")
    waking.sweep()
    break_down(requester(runs).pk, "it answered 500")
    shown = runs.shown(workflow)
    assert (shown["status"], shown["error"]) == ("failed", "H: it answered 500")
    assert list(StepAttempt.objects.order_by("number").values_list("error", flat=True)) == [
        "it answered 503",
        "it answered 500",
    ]


def test_an_address_that_always_fails_keeps_no_other_step_from_its_request(runs):
    for _ in range(6):
        runs.started(step("h", "http", url="https://down.example/"))
        break_down(requester(runs).pk, "it answered 500", "request_failed")
    runs.started(step("h", "http", url="https://up.example/"))
    assert requester(runs).status == Agent.ACTIVE
    assert len(leases.claim(requester(runs).pk, "worker_x", 1, ready=lambda agent: True).tasks) == 1
