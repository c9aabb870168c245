"""Schedules over REST."""

from datetime import UTC, datetime, timedelta

import pytest

from taskmaster.core.clock import now
from workflows_app.cron import next_run
from workflows_app.models import Schedule

from .working import Runs, step

pytestmark = pytest.mark.django_db

ASK = step("ok", "approval")


@pytest.fixture
def template(alice):
    return Runs(alice).template(ASK)


def create(who, template, **fields):
    return who.post("/schedules", {"templateId": template, "cron": "0 6 * * *"} | fields)


def problems(answer):
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    return {detail["field"]: detail["message"] for detail in answer.json()["details"]}


def test_a_schedule_is_shown_with_its_next_run_and_what_was_asked_for(alice, template):
    data = {"name": "Nightly", "context": {"b": 1, "a": [None]}, "stepData": {"ok": {"message": "Well?"}}}
    limits = {"priority": "high", "timeout": 60_000, "notifications": False}
    when = {"cron": "30 2 * * *", "timeZone": "Europe/Berlin", "overlap": "queue"}
    answer = create(alice, template, name="Every night", workflowData=data, executionContext=limits, **when)
    assert answer.status_code == 201, answer.json()
    told = answer.json()["schedule"]
    assert answer["Location"] == f"/api/v1/schedules/{told['id']}"
    assert alice.get(f"/schedules/{told['id']}").json()["schedule"] == told
    assert alice.get("/schedules").json()["schedules"] == [told]
    assert {name: told[name] for name in when} == when
    assert (told["name"], told["templateId"], told["workflowData"], told["executionContext"]) == (
        "Every night",
        template,
        data,
        limits,
    )
    assert list(told["workflowData"]["context"]) == ["b", "a"]
    assert (told["enabled"], told["lastRunAt"], told["lastWorkflowId"], told["lastError"]) == (True, None, None, None)
    expected = next_run("30 2 * * *", "Europe/Berlin", now())
    assert datetime.fromisoformat(told["nextRunAt"]) == expected


def test_the_defaults(alice, template):
    told = create(alice, template).json()["schedule"]
    assert (told["name"], told["timeZone"], told["overlap"], told["enabled"]) == ("T", "UTC", "skip", True)
    assert (told["workflowData"], told["executionContext"], told["skipped"]) == ({}, {}, 0)


def test_a_bad_expression_or_zone_is_named_and_said(alice, template):
    assert problems(create(alice, template, cron="61 * * * *")) == {"cron": "cannot be read: bad minute"}
    assert "five fields" in problems(create(alice, template, cron="soon"))["cron"]
    assert "Europe/Berlin" in problems(create(alice, template, timeZone="CEST"))["timeZone"]
    both = problems(create(alice, template, cron="x", timeZone="x"))
    assert set(both) == {"cron", "timeZone"}
    assert Schedule.objects.count() == 0


def test_overrides_that_the_template_does_not_take_are_refused_when_made_and_when_changed(alice, template):
    wrong = {"workflowData": {"stepData": {"nowhere": {}}}}
    assert set(problems(create(alice, template, **wrong))) == {"workflowData.stepData.nowhere"}
    schedule = create(alice, template).json()["schedule"]["id"]
    assert set(problems(alice.patch(f"/schedules/{schedule}", wrong))) == {"workflowData.stepData.nowhere"}
    assert alice.get(f"/schedules/{schedule}").json()["schedule"]["workflowData"] == {}


def test_another_organizations_template_cannot_be_scheduled(alice, charlie, template):
    assert create(charlie, template).status_code == 404


def test_switched_off_it_has_no_next_run_and_on_again_it_has(alice, template):
    schedule = create(alice, template).json()["schedule"]["id"]
    off = alice.patch(f"/schedules/{schedule}", {"enabled": False}).json()["schedule"]
    assert (off["enabled"], off["nextRunAt"]) == (False, None)
    on = alice.patch(f"/schedules/{schedule}", {"enabled": True}).json()["schedule"]
    assert datetime.fromisoformat(on["nextRunAt"]) == next_run("0 6 * * *", "UTC", now())
    off = create(alice, template, enabled=False).json()["schedule"]
    assert (off["enabled"], off["nextRunAt"]) == (False, None)


def test_a_new_expression_or_zone_changes_the_next_run_and_a_new_name_does_not(alice, template):
    schedule = create(alice, template).json()["schedule"]["id"]
    path = f"/schedules/{schedule}"
    past = datetime(2026, 1, 1, tzinfo=UTC)
    Schedule.objects.update(next_run_at=past)
    told = alice.patch(path, {"name": "Other", "overlap": "queue"}).json()["schedule"]
    assert (told["name"], told["overlap"], told["nextRunAt"]) == ("Other", "queue", "2026-01-01T00:00:00.000Z")
    for change in ({"cron": "5 5 * * *"}, {"timeZone": "Asia/Tokyo"}):
        Schedule.objects.update(next_run_at=past)
        told = alice.patch(path, change).json()["schedule"]
        expected = next_run(told["cron"], told["timeZone"], now())
        assert datetime.fromisoformat(told["nextRunAt"]) == expected
        assert expected - now() < timedelta(days=1, minutes=1)


def test_an_empty_change_changes_nothing(alice, template):
    told = create(alice, template).json()["schedule"]
    assert alice.patch(f"/schedules/{told['id']}", {}).json()["schedule"] == told


def test_a_deleted_schedule_is_gone(alice, template):
    schedule = create(alice, template).json()["schedule"]["id"]
    assert alice.delete(f"/schedules/{schedule}").status_code == 200
    assert alice.get(f"/schedules/{schedule}").status_code == 404
    assert alice.delete(f"/schedules/{schedule}").status_code == 404
