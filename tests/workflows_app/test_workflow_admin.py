"""Operators read workflows step by step, and pause, resume, cancel and retry them, in the admin."""

import base64
import re

import pytest
from django.contrib.admin.models import LogEntry

from taskmaster.core.ids import new_id
from tests.admin import (
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    assert_escaped,
    assert_nothing_can_be_changed,
    detail,
    found,
    queries,
    staff,
    statuses,
)
from workflows_app import step_display
from workflows_app.models import Workflow, WorkflowStep

from .working import Runs, agent, step

pytestmark = pytest.mark.django_db

PATH = "/admin/workflows_app/workflow/"


@pytest.fixture
def runs(alice):
    return Runs(alice)


@pytest.fixture
def waiting(runs):
    """A workflow that waits for a person, and has an agent at work."""
    return runs.started(step("ok", "approval", message="Well?"), agent("a"), agent("b", "ok"), context={"goal": "<x>"})


def status(pk):
    return Workflow.objects.get(pk=pk).status


def press(client, pk, verb, **typed):
    """The page after a button under a workflow was pressed."""
    return client.post(detail(PATH, pk), {verb: verb.title()} | typed, follow=True)


def said(page):
    assert page.status_code == 200
    return [str(message) for message in page.context["messages"]]


def drawn(page):
    """The picture on a page."""
    return base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]+)", page.text)[1]).decode()


def test_a_page_shows_the_steps_their_attempts_and_their_tasks(admin, runs):
    workflow = runs.started(agent("a", retries=1, retryDelay=0), agent("b", "a"))
    task = runs.running()["a"].pk
    runs.fail("a", "it broke <b>")
    page = admin.get(detail(PATH, workflow)).text
    assert "it broke &lt;b&gt;" in page
    assert "it broke <b>" not in page
    assert task.replace("_", "_5F") in page
    for text in ("<b>A</b>", "<b>B</b>", "waiting", "pending", "1."):
        assert text in page


def test_a_result_is_shown_from_its_beginning(admin, runs):
    workflow = runs.started(agent("a"))
    runs.complete("a", text="y" * 5_000)
    page = admin.get(detail(PATH, workflow)).text
    assert "a done" in page
    assert "y" * 500 not in page


def test_the_picture_is_an_image_in_which_nothing_runs(admin, runs):
    workflow = runs.made(agent("a") | {"name": HOSTILE}, agent("b", "a"))
    page = admin.get(detail(PATH, workflow))
    assert drawn(page).startswith("<svg")
    assert HOSTILE not in page.text


def test_what_waits_for_a_person_links_to_the_decision(admin, alice, waiting):
    (action,) = alice.get("/actions?status=pending").json()["actions"]
    assert (
        f"/admin/agents_app/action/{action['id'].replace('_', '_5F')}/change/" in admin.get(detail(PATH, waiting)).text
    )


def test_what_is_asked_stands_in_the_list_of_actions_and_its_page_links_to_the_workflow(admin, alice, waiting):
    (action,) = alice.get("/actions").json()["actions"]
    listed = admin.get("/admin/agents_app/action/")
    assert "{&quot;question&quot;:&quot;Well?&quot;," in listed.text
    assert detail(PATH, waiting) in admin.get(detail("/admin/agents_app/action/", action["id"])).text


def test_a_page_links_to_what_started_it_and_to_its_tasks(admin, alice, runs):
    template = runs.template(agent("a"))
    schedule = alice.post("/schedules", {"templateId": template, "cron": "@daily"}).json()["schedule"]["id"]
    workflow = runs.made(agent("a"))
    Workflow.objects.filter(pk=workflow).update(schedule_id=schedule)
    page = admin.get(detail(PATH, workflow)).text
    assert f"/admin/workflows_app/schedule/{schedule.replace('_', '_5F')}/change/" in page
    assert f"/admin/agents_app/task/?q={workflow}" in page


def test_the_buttons_are_those_that_its_state_allows(admin, runs, waiting):
    def verbs():
        return admin.get(detail(PATH, waiting)).context["verbs"]

    assert verbs() == ["pause", "cancel"]
    assert said(press(admin, waiting, "pause")) == ["Paused."]
    assert (status(waiting), verbs()) == ("paused", ["resume", "cancel"])
    assert said(press(admin, waiting, "resume")) == ["Resumed."]
    assert status(waiting) == "running"
    assert said(press(admin, waiting, "cancel")) == ["Cancelled."]
    assert (status(waiting), verbs()) == ("cancelled", [])
    assert [entry.change_message for entry in LogEntry.objects.order_by("id")] == ["Paused.", "Resumed.", "Cancelled."]


def test_a_failed_one_is_retried_from_its_failed_steps_or_from_one_step_on(admin, runs):
    workflow = runs.started(agent("a"), agent("b", "a"))
    runs.complete("a")
    runs.fail("b")
    page = admin.get(detail(PATH, workflow))
    assert (page.context["verbs"], page.context["steps_to_retry_from"]) == (["retry"], ["a", "b"])
    press(admin, workflow, "retry")
    assert runs.states(workflow) == {"a": "completed", "b": "running"}
    runs.fail("b")
    press(admin, workflow, "retry", from_step="a")
    assert runs.states(workflow) == {"a": "running", "b": "pending"}


def test_whoever_comes_too_late_is_told_and_nothing_changes(admin, waiting):
    assert "cannot become" in said(press(admin, waiting, "resume"))[0]
    assert "cannot become" in said(press(admin, waiting, "retry", from_step="x"))[0]
    assert said(press(admin, waiting, "explode")) == []
    assert status(waiting) == "running"
    assert LogEntry.objects.count() == 0


def test_several_are_changed_at_once_and_the_others_are_counted(admin, runs, waiting):
    other = runs.made(agent("a"))
    page = act(admin, PATH, "pause", *Workflow.objects.all())
    assert said(page)[0] == "Paused: 1."
    assert said(page)[1].startswith("Left as they are: 1.")
    assert (status(waiting), status(other)) == ("paused", "created")
    act(admin, PATH, "resume", *Workflow.objects.all())
    act(admin, PATH, "cancel", *Workflow.objects.all())
    assert (status(waiting), status(other)) == ("cancelled", "cancelled")


def test_whoever_may_only_look_can_only_look(waiting):
    onlooker = staff("view_workflow")
    page = onlooker.get(detail(PATH, waiting))
    assert (page.status_code, "verbs" in page.context) == (200, False)
    assert_nothing_can_be_changed(onlooker, PATH, waiting, cancel="Cancel")
    assert act(onlooker, PATH, "cancel", Workflow.objects.get()).status_code == 200
    assert status(waiting) == "running"
    assert statuses(staff("view_task"), PATH, detail(PATH, waiting)) == [403, 403]


def test_workflows_are_found_by_their_ids_and_by_what_started_them(admin, alice, charlie, runs, waiting):
    other = Runs(charlie).made(agent("a"))
    schedule = new_id("schedule")
    Workflow.objects.filter(pk=other).update(schedule_id=schedule)
    assert found(admin, PATH) == [other, waiting]
    assert found(admin, PATH, q=waiting) == [waiting]
    assert found(admin, PATH, q=schedule) == [other]
    assert found(admin, PATH, q=alice.org.slug) == [waiting]
    assert found(admin, PATH, q="nothing") == []
    assert found(admin, PATH, status="running") == [waiting]


def test_a_longer_list_takes_no_more_queries_and_no_long_columns(admin, runs):
    many = assert_a_longer_list_takes_no_more_queries(admin, PATH, lambda: runs.made(agent("a")))
    assert not any('"context"' in query or '"step_data"' in query for query in many)


def test_a_page_of_many_steps_takes_no_more_queries_and_has_an_end(admin, runs, monkeypatch):
    few = queries(admin, detail(PATH, runs.started(agent("a"))))
    many = runs.started(*[agent(f"s{number}") for number in range(30)])
    assert len(queries(admin, detail(PATH, many))) == len(few)
    monkeypatch.setattr(step_display, "SHOWN", 10)
    page = admin.get(detail(PATH, many)).text
    assert ("s9<" in page, "s10<" in page, "Only the first 10 steps" in page) == (True, False, True)


def test_what_a_stranger_wrote_is_text(admin, runs):
    workflow = runs.made(agent("a") | {"name": HOSTILE}, name=HOSTILE, context={HOSTILE: HOSTILE})
    WorkflowStep.objects.update(error=HOSTILE, status="failed")
    assert_escaped(admin, PATH, detail(PATH, workflow))


def test_no_such_workflow(admin):
    assert press(admin, new_id("workflow"), "cancel").status_code == 200
