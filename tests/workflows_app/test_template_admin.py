"""Operators publish, change and take away organizations' templates in the admin, with the API's own exact errors."""

import json

import pytest
from django.contrib.admin.models import LogEntry

from tests.admin import (
    HOSTILE,
    act,
    assert_a_longer_list_takes_no_more_queries,
    detail,
    errors,
    staff,
    statuses,
)
from workflows_app import template_store
from workflows_app.models import WorkflowTemplate
from workflows_app.yaml_form import from_yaml

from .working import agent

pytestmark = pytest.mark.django_db

PATH = "/admin/workflows_app/workflowtemplate/"
ADD = PATH + "add/"
TEXT = """\
id: mine
name: Mine
steps:
  - id: a
    name: A
    type: agent
    prompt: |
      Line {{ context.x }}
      another
"""


def publish(client, org, text=TEXT):
    return client.post(ADD, {"org": org.pk, "document": text})


def change(client, row, text):
    return client.post(detail(PATH, row.pk), {"document": text})


def stored(org):
    """(id, version, name) of each row, and whether it is still there."""
    rows = WorkflowTemplate.objects.filter(org=org).order_by("version")
    return [(row.key, row.version, row.name, row.deleted_at is None) for row in rows]


def told(page):
    """What the form says of the document."""
    return [str(error) for error in errors(page)["document"]]


@pytest.fixture
def row(admin, org):
    """A published template."""
    assert publish(admin, org).status_code == 302
    return WorkflowTemplate.objects.get()


def test_a_template_is_published_from_yaml_and_used_over_rest(admin, org, alice, row):
    shown = alice.get("/workflow-templates/mine").json()["template"]
    assert (shown["version"], shown["steps"][0]["prompt"]) == (1, "Line {{ context.x }}\nanother\n")
    assert alice.post("/workflows", {"templateId": "mine"}).status_code == 201
    assert LogEntry.objects.get().object_id == str(row.pk)


def test_a_template_is_published_from_json(admin, org):
    document = {"id": "mine", "name": "Mine", "steps": [agent("a", prompt="x \U0001f600")]}
    assert publish(admin, org, json.dumps(document)).status_code == 302
    assert WorkflowTemplate.objects.get().steps[0]["prompt"] == "x \U0001f600"


def test_what_a_browser_sends_is_what_was_typed(admin, org):
    assert publish(admin, org, TEXT.replace("\n", "\r\n")).status_code == 302
    assert WorkflowTemplate.objects.get().steps[0]["prompt"] == "Line {{ context.x }}\nanother\n"


def test_the_form_begins_with_an_example_that_is_valid(admin, org):
    page = admin.get(ADD)
    assert publish(admin, org, page.context["adminform"].form.initial["document"]).status_code == 302


def test_all_that_is_wrong_is_told_as_over_rest(admin, org, alice):
    wrong = "id: A b\nsteps:\n  - {id: a, type: agent, dependsOn: [nowhere]}\n  - 5\n"
    answer = alice.post("/workflow-templates", from_yaml(wrong)).json()
    assert told(publish(admin, org, wrong)) == [f"{one['field']}: {one['message']}" for one in answer["details"]]
    assert stored(org) == []


@pytest.mark.parametrize(
    "text", ["- 1", "a: &x 1\nb: *x", "a: [", '{"a": NaN}', '{"a": 1, "a": 2}', '{"a"', "a: 1\na: 2", "!!python/none x"]
)
def test_what_cannot_be_read_is_refused_and_stays_in_the_form(admin, org, text):
    page = publish(admin, org, text)
    assert len(told(page)) == 1
    assert page.context["adminform"].form["document"].value() == text
    assert stored(org) == []


def test_an_id_that_is_taken_is_refused(admin, org, row):
    assert told(publish(admin, org)) == ["id: there is a template 'mine' already"]
    assert told(publish(admin, org, TEXT.replace("mine", "bug_fix")))[0].startswith("id: there is a template")


def test_saving_a_stored_one_makes_a_new_version_and_the_old_one_stays(admin, org, row):
    document = admin.get(detail(PATH, row.pk)).context["adminform"].form.initial["document"]
    assert from_yaml(document) == from_yaml(TEXT) | {"version": 1}
    assert change(admin, row, document.replace("name: Mine", "name: Better")).status_code == 302
    assert stored(org) == [("mine", 1, "Mine", True), ("mine", 2, "Better", True)]
    assert [entry.object_id for entry in LogEntry.objects.order_by("id")] == [
        str(pk) for pk in WorkflowTemplate.objects.order_by("id").values_list("pk", flat=True)
    ]


def test_an_old_version_is_brought_back_by_saving_it_again(admin, org, row):
    change(admin, row, TEXT.replace("name: Mine", "name: Better"))
    document = admin.get(detail(PATH, row.pk)).context["adminform"].form.initial["document"]
    change(admin, row, document)
    assert [name for _, _, name, _ in stored(org)] == ["Mine", "Better", "Mine"]


def test_a_new_version_cannot_have_another_id_and_need_not_have_any(admin, org, row):
    assert told(change(admin, row, TEXT.replace("mine", "other"))) == [
        "id: must be mine, as this is a new version of it"
    ]
    assert change(admin, row, TEXT.replace("id: mine\n", "")).status_code == 302
    assert [version for _, version, _, _ in stored(org)] == [1, 2]


def test_whoever_comes_second_is_told(admin, org, row, monkeypatch):
    monkeypatch.setattr(template_store, "_next_version", lambda org, key: 1)
    page = admin.post(detail(PATH, row.pk), {"document": TEXT}, follow=True)
    said = [str(message) for message in page.context["messages"]]
    assert said[-1] == "Nothing was changed. Somebody else has just changed this template."
    assert stored(org) == [("mine", 1, "Mine", True)]


def test_taken_away_it_is_gone_in_all_versions_and_can_only_be_looked_at(admin, org, alice, row):
    change(admin, row, TEXT)
    act(admin, PATH, "take_away", row)
    assert [there for *_, there in stored(org)] == [False, False]
    assert alice.get("/workflow-templates/mine").status_code == 404
    page = admin.get(detail(PATH, row.pk))
    assert (page.status_code, "another" in page.text) == (200, True)
    assert change(admin, row, TEXT).status_code == 403
    assert publish(admin, org).status_code == 302
    assert stored(org)[-1] == ("mine", 3, "Mine", True)


def test_what_a_stranger_wrote_is_text(admin, org, row):
    change(admin, row, TEXT.replace("Mine", HOSTILE))
    newest = WorkflowTemplate.objects.get(version=2)
    for path in (PATH, detail(PATH, newest.pk)):
        assert HOSTILE not in admin.get(path).text


def test_who_may_do_what(org, row):
    onlooker = staff("view_workflowtemplate")
    assert statuses(onlooker, PATH, detail(PATH, row.pk), ADD) == [200, 200, 403]
    assert change(onlooker, row, TEXT).status_code == 403
    act(onlooker, PATH, "take_away", row)
    assert stored(org) == [("mine", 1, "Mine", True)]


def test_a_longer_list_takes_no_more_queries_and_no_steps(admin, org):
    def more():
        number = WorkflowTemplate.objects.count()
        WorkflowTemplate.objects.create(org=org, key=f"t{number}", name="T", steps=[agent("a")])

    many = assert_a_longer_list_takes_no_more_queries(admin, PATH, more)
    assert not any('"steps"' in query for query in many)
