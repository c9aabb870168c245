"""What schedules start, by a clock that the tests move: once each, never a flood, and in turn."""

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from django.db.models.functions import Now

from taskmaster.core.clock import iso
from taskmaster.orgs.organizations import restore, suspend
from tests.api.racing import at_once
from tests.api.working import told
from workflows_app import scheduling
from workflows_app.models import Schedule, Workflow

from .working import Runs, agent, step

pytestmark = pytest.mark.django_db

NOON = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)


def minutes(number):
    return NOON + timedelta(minutes=number)


class Clock:
    """A schedule of alice's that was due at noon for the first time, every ten minutes."""

    def __init__(self, person, *steps, **fields):
        self.runs = Runs(person)
        self.person, self.template = person, self.runs.template(*(steps or (step("ok", "approval"),)))
        body = {"templateId": self.template, "cron": "*/10 * * * *"} | fields
        answer = person.post("/schedules", body)
        assert answer.status_code == 201, answer.json()
        self.id = answer.json()["schedule"]["id"]
        Schedule.objects.filter(pk=self.id).update(next_run_at=NOON)

    def look(self, moment):
        """What a scheduler does at that moment."""
        scheduling.run_due(moment)

    @property
    def started(self):
        """The states of the workflows that it made, oldest first."""
        return list(Workflow.objects.filter(schedule_id=self.id).order_by("id").values_list("status", flat=True))

    @property
    def shown(self):
        return self.person.get(f"/schedules/{self.id}").json()["schedule"]

    def end(self, number=0, approved=True):
        """The run with this number ends."""
        workflow = Workflow.objects.filter(schedule_id=self.id).order_by("id")[number]
        answer = self.runs.act(workflow.pk, "signal", {"stepId": "ok", "approved": approved})
        assert answer.status_code == 200, answer.json()


@pytest.fixture
def clock(alice):
    return Clock(alice)


def test_it_starts_when_it_is_due_and_not_before(clock, org):
    clock.look(minutes(-1))
    assert clock.started == []
    clock.look(NOON)
    assert clock.started == ["running"]
    shown = clock.shown
    (workflow,) = Workflow.objects.all()
    assert (shown["lastRunAt"], shown["nextRunAt"]) == (iso(NOON), iso(minutes(10)))
    assert shown["lastWorkflowId"] == workflow.pk
    public = clock.person.get(f"/workflows/{workflow.pk}").json()["workflow"]
    assert (public["scheduleId"], public["templateId"]) == (clock.id, clock.template)
    assert [kind for kind, _ in told(org, "workflow.")][:2] == ["workflow.created", "workflow.started"]


def test_looking_again_starts_nothing_more(clock):
    for _ in range(3):
        clock.look(NOON)
    clock.look(minutes(9))
    assert clock.started == ["running"]
    assert clock.shown["skipped"] == 0


def test_the_workflow_is_made_and_started_as_the_schedule_says(alice):
    data = {"name": "Nightly", "context": {"x": 1}, "stepData": {"a": {"prompt": "Other {{ context.x }}"}}}
    limits = {"priority": "urgent", "timeout": 60_000, "notifications": False}
    clock = Clock(alice, agent("a"), workflowData=data, executionContext=limits)
    clock.look(NOON)
    workflow = Workflow.objects.get()
    shown = clock.runs.shown(workflow.pk)
    assert (shown["name"], shown["context"], shown["executionContext"]) == ("Nightly", {"x": 1}, limits)
    task = clock.runs.running()["a"]
    assert (task.description, task.priority_name) == ("Other 1", "urgent")


def test_after_a_long_downtime_there_is_one_run_and_then_the_next_one_in_its_time(clock):
    clock.look(minutes(60 * 24 * 30 + 3))
    assert clock.started == ["running"]
    assert clock.shown["nextRunAt"] == iso(minutes(60 * 24 * 30 + 10))
    clock.end()
    clock.look(minutes(60 * 24 * 30 + 9))
    assert clock.started == ["completed"]
    clock.look(minutes(60 * 24 * 30 + 10))
    assert clock.started == ["completed", "running"]


def test_a_run_before_that_has_not_ended_makes_this_one_skipped_and_that_is_noted(clock):
    clock.look(NOON)
    clock.look(minutes(10))
    assert clock.started == ["running"]
    shown = clock.shown
    assert (shown["skipped"], shown["lastSkippedAt"], shown["lastRunAt"]) == (1, iso(minutes(10)), iso(NOON))
    assert shown["nextRunAt"] == iso(minutes(20))
    clock.end(approved=False)
    clock.look(minutes(11))
    assert clock.started == ["failed"]
    clock.look(minutes(20))
    assert clock.started == ["failed", "running"]


def test_a_paused_run_has_not_ended(clock):
    clock.look(NOON)
    clock.runs.act(clock.shown["lastWorkflowId"], "pause")
    clock.look(minutes(10))
    assert clock.started == ["paused"]


def test_another_schedules_run_is_no_matter(alice):
    one, other = Clock(alice), Clock(alice)
    one.look(NOON)
    assert (one.started, other.started) == (["running"], ["running"])


def test_in_a_queue_each_run_starts_when_the_one_before_has_ended(alice):
    clock = Clock(alice, overlap="queue")
    for moment in (0, 10, 20):
        clock.look(minutes(moment))
    assert clock.started == ["running", "created", "created"]
    clock.look(minutes(21))
    assert clock.started == ["running", "created", "created"]
    clock.end(0)
    clock.look(minutes(22))
    assert clock.started == ["completed", "running", "created"]
    clock.look(minutes(23))
    assert clock.started == ["completed", "running", "created"]
    clock.end(1)
    clock.look(minutes(24))
    assert clock.started == ["completed", "completed", "running"]
    assert not Schedule.objects.get().queued
    assert clock.shown["skipped"] == 0


def test_a_run_that_becomes_due_goes_behind_those_that_wait(alice):
    clock = Clock(alice, overlap="queue")
    clock.look(NOON)
    clock.look(minutes(10))
    clock.end(0)
    clock.look(minutes(20))
    assert clock.started == ["completed", "running", "created"]


def test_a_queued_run_that_somebody_cancels_or_starts_leaves_the_queue(alice):
    clock = Clock(alice, overlap="queue")
    for moment in (0, 10, 20):
        clock.look(minutes(moment))
    _, second, third = Workflow.objects.order_by("id").values_list("pk", flat=True)
    clock.runs.act(second, "cancel")
    clock.end(0)
    clock.look(minutes(21))
    assert clock.started == ["completed", "cancelled", "running"]
    assert Workflow.objects.get(pk=third).status == "running"


def test_a_queue_holds_so_many_and_no_more(alice, monkeypatch):
    monkeypatch.setattr(scheduling, "MOST_QUEUED", 2)
    clock = Clock(alice, overlap="queue")
    for moment in (0, 10, 20, 30, 40):
        clock.look(minutes(moment))
    assert clock.started == ["running", "created", "created"]
    assert clock.shown["skipped"] == 2


def test_a_queued_run_keeps_the_limits_of_its_schedule(alice):
    clock = Clock(alice, overlap="queue", executionContext={"priority": "low"})
    clock.look(NOON)
    clock.look(minutes(10))
    clock.end(0)
    clock.look(minutes(11))
    assert clock.runs.shown(clock.shown["lastWorkflowId"])["executionContext"]["priority"] == "low"


def test_deleting_a_schedule_cancels_what_waits_and_lets_the_rest_go_on(alice):
    clock = Clock(alice, overlap="queue")
    clock.look(NOON)
    clock.look(minutes(10))
    assert alice.delete(f"/schedules/{clock.id}").status_code == 200
    assert clock.started == ["running", "cancelled"]
    clock.look(minutes(20))
    assert clock.started == ["running", "cancelled"]


def test_switched_off_it_starts_nothing_and_what_it_missed_is_not_made_up_for(clock):
    clock.person.patch(f"/schedules/{clock.id}", {"enabled": False})
    clock.look(minutes(30))
    assert clock.started == []
    clock.person.patch(f"/schedules/{clock.id}", {"enabled": True})
    clock.look(datetime.now(UTC))
    assert clock.started == []


def test_a_template_that_is_gone_is_noted_and_the_next_run_is_tried(clock):
    clock.person.delete(f"/workflow-templates/{clock.template}")
    clock.look(NOON)
    assert clock.started == []
    assert clock.shown["lastError"] == "There is no such template."
    assert clock.shown["nextRunAt"] == iso(minutes(10))
    clock.person.post("/workflow-templates", {"id": clock.template, "name": "T", "steps": [step("ok", "approval")]})
    clock.look(minutes(10))
    assert clock.started == ["running"]
    assert clock.shown["lastError"] is None


def test_overrides_that_a_new_version_does_not_take_are_noted_with_their_place(alice):
    clock = Clock(alice, workflowData={"stepData": {"ok": {"message": "Well?"}}})
    alice.call("PUT", f"/workflow-templates/{clock.template}", {"name": "T", "steps": [step("other", "approval")]})
    clock.look(NOON)
    assert clock.started == []
    assert "workflowData.stepData.ok" in clock.shown["lastError"]


def test_one_that_breaks_keeps_no_other_from_its_run_and_is_tried_again(alice, monkeypatch):
    broken, other = Clock(alice), Clock(alice)
    real = scheduling.made_from

    def made_from(template, **options):
        if options["schedule_id"] == broken.id:
            raise RuntimeError
        return real(template, **options)

    monkeypatch.setattr(scheduling, "made_from", made_from)
    other.look(NOON)
    assert (broken.started, other.started) == ([], ["running"])
    assert broken.shown["nextRunAt"] == iso(NOON)
    monkeypatch.setattr(scheduling, "made_from", real)
    other.look(minutes(1))
    assert (broken.started, other.started) == (["running"], ["running"])


def test_a_suspended_organization_starts_nothing_and_catches_up_with_one_run(clock, org):
    suspend(org)
    clock.look(minutes(35))
    assert clock.started == []
    restore(org)
    clock.look(minutes(36))
    assert clock.started == ["running"]


def test_an_hour_that_comes_twice_has_one_run_and_one_that_is_skipped_has_one_too(alice):
    clock = Clock(alice, cron="30 2 * * *", timeZone="Europe/Berlin")
    autumn = datetime(2030, 10, 27, tzinfo=UTC)
    Schedule.objects.update(next_run_at=autumn + timedelta(minutes=30))
    for minute in range(0, 180, 5):
        clock.look(autumn + timedelta(minutes=minute))
        if clock.started[-1:] == ["running"]:
            clock.end(len(clock.started) - 1)
    assert clock.started == ["completed"]
    spring = datetime(2031, 3, 30, tzinfo=UTC)
    Schedule.objects.update(next_run_at=spring + timedelta(minutes=60))
    for minute in range(0, 180, 5):
        clock.look(spring + timedelta(minutes=minute))
    assert clock.started == ["completed", "running"]
    assert clock.shown["lastRunAt"] == iso(spring + timedelta(minutes=60))


@pytest.mark.django_db(transaction=True)
def test_however_many_schedulers_look_at_once_each_run_is_started_once(alice):
    clocks = [Clock(alice, overlap="queue") for _ in range(3)]
    for moment in (0, 10, 20):
        at_once(*[lambda moment=moment: scheduling.run_due(minutes(moment))] * 6)
    assert [clock.started for clock in clocks] == [["running", "created", "created"]] * 3
    for clock in clocks:
        clock.end(0)
    at_once(*[lambda: scheduling.run_due(minutes(21))] * 6)
    assert [clock.started for clock in clocks] == [["completed", "running", "created"]] * 3


@pytest.mark.django_db(transaction=True)
def test_a_run_that_is_queued_while_the_queue_is_emptied_is_not_forgotten(alice, monkeypatch):
    clock = Clock(alice, overlap="queue")
    clock.look(NOON)
    clock.look(minutes(10))
    clock.end(0)
    real, others = scheduling._start, []

    def start(*given):
        real(*given)
        # Another process, which has to wait until this one has emptied the queue.
        others.append(Thread(target=lambda: at_once(lambda: scheduling.run_due(minutes(20)))))
        others[0].start()
        others[0].join(0.3)

    monkeypatch.setattr(scheduling, "_start", start)
    clock.look(minutes(11))
    others[0].join(30)
    assert clock.started == ["completed", "running", "created"]
    assert Schedule.objects.get().queued


def test_a_look_that_finds_nothing_is_two_queries(clock, django_assert_num_queries):
    Schedule.objects.update(next_run_at=Now() + timedelta(days=1))
    with django_assert_num_queries(2):
        clock.look(NOON - timedelta(days=3_000))
