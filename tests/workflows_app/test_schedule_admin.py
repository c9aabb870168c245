"""Operators make, change, switch and delete schedules, and make and delete triggers, in the admin."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection

from taskmaster.core.clock import now
from tests.admin import (
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    detail,
    errors,
    found,
    queries,
    staff,
    statuses,
)
from workflows_app import schedules, triggers
from workflows_app.cron import next_run
from workflows_app.models import Schedule, Trigger, TriggerDelivery

from .working import Runs, step

pytestmark = pytest.mark.django_db

SCHEDULES, TRIGGERS = "/admin/workflows_app/schedule/", "/admin/workflows_app/trigger/"
SECRET = "a secret of some length"


@pytest.fixture
def template(alice):
    return Runs(alice).template(step("ok", "approval"))


def typed(template, /, **fields):
    """A whole form of a schedule."""
    about = {"name": "", "template_key": template, "cron": "0 6 * * *", "time_zone": "UTC", "overlap": "skip"}
    return about | {"enabled": "on", "workflow_data": "", "execution_context": ""} | fields


def added(client, org, template, /, **fields):
    return client.post(SCHEDULES + "add/", {"org": org.pk} | typed(template, **fields))


def made(client, org, template, /, **fields):
    """The answer to the form of a new trigger."""
    about = {"org": org.pk, "name": "", "template_key": template, "workflow_data": "", "execution_context": ""}
    return client.post(TRIGGERS + "add/", about | {"new_secret": ""} | fields)


def everything_stored():
    with connection.cursor() as cursor:
        rows = []
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            rows += cursor.fetchall()
    return str(rows) + str([session.get_decoded() for session in BrowserSession.objects.all()])


# Schedules


def test_a_schedule_is_made_with_its_next_run(admin, org, template):
    data, limits = {"context": {"x": 1}}, {"priority": "high", "timeout": 60_000}
    answer = added(
        admin,
        org,
        template,
        name="Nightly",
        cron="30 2 * * *",
        time_zone="Europe/Berlin",
        overlap="queue",
        workflow_data=json.dumps(data),
        execution_context=json.dumps(limits),
    )
    assert answer.status_code == 302, errors(answer)
    row = Schedule.objects.get()
    assert (row.org, row.name, row.template_key, row.overlap, row.enabled) == (org, "Nightly", template, "queue", True)
    assert (row.workflow_data, row.execution_context) == (data, limits)
    assert row.next_run_at == next_run("30 2 * * *", "Europe/Berlin", now())
    assert LogEntry.objects.get().object_id == row.pk


def test_a_nameless_one_is_called_as_its_template(admin, org, template):
    added(admin, org, template)
    assert (Schedule.objects.get().name, Schedule.objects.get().workflow_data) == ("T", {})


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cron", "61 * * * *", "bad minute"),
        ("cron", "soon", "five fields"),
        ("time_zone", "CEST", "IANA"),
        ("template_key", "nowhere", "no such template"),
        ("workflow_data", '{"stepData": {"nowhere": {}}}', "workflowData.stepData.nowhere"),
        ("workflow_data", '{"context": 5}', "workflowData.context: must be an object"),
        ("workflow_data", "[1]", "Invalid data"),
        ("workflow_data", "{", "not valid JSON"),
        ("execution_context", '{"priority": "top"}', "executionContext.priority"),
        ("execution_context", '{"timeout": 5}', "executionContext.timeout"),
    ],
)
def test_what_the_api_refuses_is_refused_at_its_field(admin, org, template, field, value, said):
    page = added(admin, org, template, **{field: value})
    assert list(errors(page)) == [field]
    assert said in str(errors(page)[field])
    assert Schedule.objects.count() == 0


def test_a_schedule_is_changed_and_what_was_not_touched_stays(admin, org, template):
    row = schedules.create(org=org, template_key=template, cron="0 6 * * *", workflow_data={"context": {"x": 1}})
    form = typed(template, name="Other", cron="0 7 * * *", workflow_data='{"context": {"x": 1}}')
    assert admin.post(detail(SCHEDULES, row.pk), form).status_code == 302
    changed = Schedule.objects.get()
    assert (changed.name, changed.next_run_at) == ("Other", next_run("0 7 * * *", "UTC", now()))
    assert changed.workflow_data == {"context": {"x": 1}}


def test_they_are_switched_off_and_on(admin, org, template):
    rows = [schedules.create(org=org, template_key=template, cron="0 6 * * *") for _ in range(2)]
    act(admin, SCHEDULES, "switch_off", *rows)
    assert set(Schedule.objects.values_list("enabled", "next_run_at")) == {(False, None)}
    act(admin, SCHEDULES, "switch_on", rows[0])
    assert Schedule.objects.get(enabled=True).next_run_at == next_run("0 6 * * *", "UTC", now())
    assert found(admin, SCHEDULES, enabled="yes") == [rows[0].pk]


def test_a_schedule_is_deleted(admin, org, template):
    rows = [schedules.create(org=org, template_key=template, cron="0 6 * * *") for _ in range(3)]
    assert admin.post(detail(SCHEDULES, rows[0].pk).replace("change", "delete"), {"post": "yes"}).status_code == 302
    data = {"action": "delete_selected", "_selected_action": [row.pk for row in rows[1:]], "post": "yes"}
    admin.post(SCHEDULES, data)
    assert Schedule.objects.count() == 0


def test_another_organizations_template_cannot_be_scheduled(admin, charlie, template):
    assert list(errors(added(admin, charlie.org, template))) == ["template_key"]


# Triggers


def test_a_trigger_is_made_and_its_secret_shown_once(admin, org, template):
    page = made(admin, org, template, name="Pushes")
    row = Trigger.objects.get()
    assert page.status_code == 200
    assert row.secret in page.text
    assert row.url in page.text
    assert (row.org, row.name, row.template_key) == (org, "Pushes", template)
    secret = row.secret
    for path in (TRIGGERS, detail(TRIGGERS, row.pk), detail(TRIGGERS, row.pk).replace("change", "history")):
        assert secret not in admin.get(path).text
    assert secret not in everything_stored()


def test_a_secret_of_ones_own_is_taken_and_never_shown_in_the_form(admin, org, template):
    page = made(admin, org, template, new_secret=SECRET, template_key="nowhere")
    assert list(errors(page)) == ["template_key"]
    assert SECRET not in page.text
    assert list(errors(made(admin, org, template, new_secret="short"))) == ["new_secret"]
    assert made(admin, org, template, new_secret=SECRET).status_code == 200
    assert Trigger.objects.get().secret == SECRET


def test_a_stored_trigger_can_only_be_deleted_and_its_secret_is_not_even_read(admin, org, template):
    row, _ = triggers.create(org=org, template_key=template)
    TriggerDelivery.objects.bulk_create(
        [TriggerDelivery(trigger=row, key=f"delivery-{number}", fingerprint="x") for number in range(50)]
    )
    assert admin.post(detail(TRIGGERS, row.pk), {"name": "x"}).status_code == 403
    for path in (TRIGGERS, detail(TRIGGERS, row.pk)):
        assert not any('"secret"' in query for query in queries(admin, path))
    delete = detail(TRIGGERS, row.pk).replace("change", "delete")
    assert "delivery-7" not in admin.get(delete).text
    assert admin.post(delete, {"post": "yes"}).status_code == 302
    assert (Trigger.objects.count(), TriggerDelivery.objects.count()) == (0, 0)


def test_a_trigger_whose_key_is_lost_is_shown_and_deleted(admin, org, template):
    row, _ = triggers.create(org=org, template_key=template)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_app_trigger SET secret = 'sealed with a lost key'")
    assert statuses(admin, TRIGGERS, detail(TRIGGERS, row.pk)) == [200, 200]
    assert admin.post(detail(TRIGGERS, row.pk).replace("change", "delete"), {"post": "yes"}).status_code == 302


# Both


def test_what_a_stranger_wrote_is_text(admin, org, template):
    about = {"org": org, "template_key": template, "name": HOSTILE, "workflow_data": {"context": {"a": HOSTILE}}}
    schedule, (trigger, _) = schedules.create(cron="@daily", **about), triggers.create(**about)
    assert_escaped(admin, SCHEDULES, detail(SCHEDULES, schedule.pk), TRIGGERS, detail(TRIGGERS, trigger.pk))


def test_longer_lists_take_no_more_queries(admin, org, template):
    about = {"org": org, "template_key": template}
    assert_a_longer_list_takes_no_more_queries(admin, SCHEDULES, lambda: schedules.create(cron="@daily", **about))
    assert_a_longer_list_takes_no_more_queries(admin, TRIGGERS, lambda: triggers.create(**about))


def test_who_may_do_what(org, template):
    about = {"org": org, "template_key": template}
    schedule, (trigger, _) = schedules.create(cron="@daily", **about), triggers.create(**about)
    onlooker = staff("view_schedule", "view_trigger")
    pages = [SCHEDULES, detail(SCHEDULES, schedule.pk), TRIGGERS, detail(TRIGGERS, trigger.pk)]
    assert statuses(onlooker, *pages) == [200] * 4
    assert statuses(onlooker, SCHEDULES + "add/", TRIGGERS + "add/") == [403, 403]
    for path in (pages[1], pages[3]):
        assert onlooker.post(path, typed(template)).status_code == 403
        assert onlooker.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403
    act(onlooker, SCHEDULES, "switch_off", schedule)
    assert (Schedule.objects.get().enabled, Trigger.objects.count()) == (True, 1)
