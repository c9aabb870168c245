"""Triggers over REST: their secrets are told once and kept sealed."""

import pytest
from django.db import connection

from taskmaster.core.signing import standard_key
from workflows_app.models import Trigger

from .working import Runs, step

pytestmark = pytest.mark.django_db

OURS = "a secret of our own"


@pytest.fixture
def template(alice):
    return Runs(alice).template(step("ok", "approval"))


def create(who, template, **fields):
    return who.post("/triggers", {"templateId": template} | fields)


def stored_text():
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM workflows_app_trigger")
        return str(cursor.fetchall())


def test_a_secret_is_made_and_told_once(alice, template):
    answer = create(alice, template, name="Pushes")
    told = answer.json()["trigger"]
    assert (answer.status_code, answer["Location"]) == (201, f"/api/v1/triggers/{told['id']}")
    secret = told.pop("secret")
    assert secret == told.pop("standardSecret")
    assert secret.startswith("whsec_")
    assert len(standard_key(secret)) == 32
    assert told["url"] == f"/api/v1/hooks/{told['id']}"
    assert alice.get(f"/triggers/{told['id']}").json()["trigger"] == told
    assert alice.get("/triggers").json()["triggers"] == [told]
    assert "secret" not in str(alice.get("/triggers").json()["triggers"]).lower()


def test_no_two_secrets_are_the_same(alice, template):
    assert len({create(alice, template).json()["trigger"]["secret"] for _ in range(5)}) == 5


def test_a_secret_of_ones_own_is_taken_and_told_in_the_standard_form_too(alice, template):
    told = create(alice, template, secret=OURS).json()["trigger"]
    assert told["secret"] == OURS
    assert standard_key(told["standardSecret"]) == OURS.encode()


def test_a_short_secret_is_refused(alice, template):
    answer = create(alice, template, secret="x" * 15)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "secret")


def test_the_secret_is_sealed_in_the_database(alice, template):
    create(alice, template, secret=OURS)
    assert OURS not in stored_text()
    assert Trigger.objects.get().secret == OURS


def test_the_defaults(alice, template):
    told = create(alice, template).json()["trigger"]
    assert (told["name"], told["templateId"], told["workflowData"], told["executionContext"]) == ("T", template, {}, {})
    assert (told["lastReceivedAt"], told["lastWorkflowId"]) == (None, None)


def test_overrides_that_the_template_does_not_take_are_refused(alice, template):
    answer = create(alice, template, workflowData={"stepData": {"ok": {"timeout": "long"}}})
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "workflowData.stepData.ok.timeout")
    assert Trigger.objects.count() == 0


def test_a_replayed_answer_tells_the_secret_again_and_nobody_else(alice, template):
    body = {"templateId": template}
    first = alice.post("/triggers", body, idempotency_key="k").json()["trigger"]
    again = alice.post("/triggers", body, idempotency_key="k").json()["trigger"]
    assert again == first
    assert Trigger.objects.count() == 1


def test_a_deleted_trigger_is_gone(alice, template):
    trigger = create(alice, template).json()["trigger"]["id"]
    assert alice.delete(f"/triggers/{trigger}").status_code == 200
    assert alice.get(f"/triggers/{trigger}").status_code == 404
    assert alice.delete(f"/triggers/{trigger}").status_code == 404
