"""Deliveries to hooks: the signature is the credential, and the same delivery starts one workflow."""

import json

import pytest
from django.db import connection
from django.test import Client

from taskmaster.core import verifying
from taskmaster.core.signing import signature, signed_headers
from taskmaster.orgs.organizations import suspend
from tests.api.calls import assert_failure
from tests.api.racing import at_once
from tests.api.world import stored
from tests.conftest import V1
from workflows_app import deliveries, hook_views
from workflows_app.models import Trigger, TriggerDelivery, Workflow

from .working import Runs, agent, step

pytestmark = pytest.mark.django_db

SECRET = "a secret of some length"
PAYLOAD = {"ref": "refs/heads/main", "commits": [{"id": "1"}]}
NOBODY = "trigger_" + "0" * 26


class Hook:
    """A trigger of alice's, and whoever delivers to it, without a token."""

    def __init__(self, person, *steps, **fields):
        self.runs = Runs(person)
        body = {"templateId": self.runs.template(*(steps or (step("ok", "approval"),))), "secret": SECRET} | fields
        answer = person.post("/triggers", body)
        assert answer.status_code == 201, answer.json()
        self.person, self.template = person, body["templateId"]
        self.id = answer.json()["trigger"]["id"]
        self.path = answer.json()["trigger"]["url"]

    def deliver(self, body=PAYLOAD, /, *, address="127.0.0.1", content_type="application/json", **headers):
        """The answer to a signed delivery; a header is named like `webhook_id`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(raw, {"X-TaskMaster-Signature": signature(SECRET, raw)} | named, address, content_type)

    def send(self, raw, headers=(), address="127.0.0.1", content_type="application/json", path=""):
        """The answer to exactly this."""
        client = Client(REMOTE_ADDR=address, raise_request_exception=False)
        return client.generic("POST", path or self.path, raw, content_type=content_type, headers=dict(headers))

    def workflow(self, answer):
        """What the delivery started, as the API shows it."""
        assert answer.status_code == 202, answer.json()
        return self.runs.shown(answer.json()["workflowId"])


@pytest.fixture
def hook(alice):
    return Hook(alice)


# What a good delivery does


def test_a_signed_delivery_starts_a_workflow_of_the_template_with_the_payload(hook):
    answer = hook.deliver()
    shown = hook.workflow(answer)
    assert answer["Location"] == f"{V1}/workflows/{shown['id']}"
    assert (shown["status"], shown["templateId"], shown["triggerId"]) == ("running", hook.template, hook.id)
    assert shown["context"] == {"payload": PAYLOAD, "event": None}
    trigger = hook.person.get(f"/triggers/{hook.id}").json()["trigger"]
    assert trigger["lastWorkflowId"] == shown["id"]
    assert trigger["lastReceivedAt"] is not None
    assert hook.person.get(f"/workflows?triggerId={hook.id}").json()["pagination"]["total"] == 1


def test_the_payload_joins_the_context_of_the_trigger_and_its_limits_hold(alice):
    data = {"name": "Pushed", "context": {"repo": "x", "payload": "old"}, "stepData": {"a": {"retries": 3}}}
    hook = Hook(
        alice,
        agent("a", prompt="{{ context.event }}: {{ context.payload.ref }} of {{ context.repo }}"),
        workflowData=data,
        executionContext={"priority": "high", "timeout": 60_000, "notifications": False},
    )
    shown = hook.workflow(hook.deliver(x_github_event="push"))
    assert (shown["name"], shown["context"]) == ("Pushed", {"repo": "x", "payload": PAYLOAD, "event": "push"})
    assert shown["executionContext"] == {"priority": "high", "timeout": 60_000, "notifications": False}
    task = hook.runs.running()["a"]
    assert (task.description, task.priority_name) == ("push: refs/heads/main of x", "high")


@pytest.mark.parametrize("header", deliveries.EVENTS)
def test_what_happened_is_read_from_whichever_header_names_it(hook, header):
    answer = hook.deliver(**{header: "thing.done" + "x" * 300})
    assert hook.workflow(answer)["context"]["event"] == ("thing.done" + "x" * 300)[:200]


@pytest.mark.parametrize("body", [b"[1, 2]", b'"x"', b"null", b"5", b"", '{"ä": "☃"}'.encode()])
def test_the_payload_is_any_json_and_nothing_is_null(hook, body):
    payload = json.loads(body) if body else None
    assert hook.workflow(hook.deliver(body))["context"]["payload"] == payload


@pytest.mark.parametrize("content_type", ["", "application/json; charset=utf-8", "application/cloudevents+json"])
def test_json_is_taken_under_its_names(hook, content_type):
    assert hook.deliver(content_type=content_type).status_code == 202


def test_github_and_standard_webhooks_and_ourselves_are_understood(hook):
    raw = json.dumps(PAYLOAD).encode()
    ours = signed_headers([SECRET], message_id="msg_1", body=raw)
    standard = {name: value for name, value in ours.items() if name.startswith("webhook-")} | {"webhook-id": "msg_1"}
    github = {"X-Hub-Signature-256": signature(SECRET, raw), "X-GitHub-Delivery": "d1", "X-GitHub-Event": "push"}
    assert [hook.send(raw, headers).status_code for headers in (github, standard)] == [202, 202]
    assert hook.send(raw, ours)["Idempotent-Replayed"] == "true"
    assert Workflow.objects.count() == 2


def test_githubs_first_ping_starts_nothing(hook):
    answer = hook.deliver({"zen": "Keep it logically awesome."}, x_github_event="ping")
    assert (answer.status_code, answer.json()["message"]) == (200, "pong")
    assert Workflow.objects.count() == 0


def test_whoever_has_a_token_still_has_to_sign(hook):
    raw = json.dumps(PAYLOAD).encode()
    assert_failure(hook.send(raw, hook.person.headers), 401, "unauthenticated")
    assert hook.deliver(**hook.person.headers).status_code == 202


# What is refused


def test_a_wrong_or_missing_signature_is_a_401_and_nothing_is_stored(hook):
    raw = json.dumps(PAYLOAD).encode()
    before = stored()
    other = signature("another secret!!", raw)
    for headers in ({}, {"X-TaskMaster-Signature": other}, {"X-Hub-Signature-256": signature(SECRET, raw + b" ")}):
        answer = hook.send(raw, headers)
        assert_failure(answer, 401, "unauthenticated")
        assert answer["X-Request-ID"] == answer.json()["requestId"]
    assert stored() == before


def test_a_replay_with_an_old_timestamp_is_a_401(hook, monkeypatch):
    raw = json.dumps(PAYLOAD).encode()
    headers = signed_headers([SECRET], message_id="msg_1", body=raw)
    monkeypatch.setattr(verifying.time, "time", lambda real=verifying.time.time: real() + 600)
    assert_failure(hook.send(raw, headers), 401, "unauthenticated")


def test_another_triggers_secret_opens_nothing(alice, hook):
    other = Hook(alice, secret="another secret of some length")
    raw = json.dumps(PAYLOAD).encode()
    assert_failure(other.send(raw, {"X-TaskMaster-Signature": signature(SECRET, raw)}), 401, "unauthenticated")


@pytest.mark.parametrize("pk", [NOBODY, "%00", "a%00b", "x" * 5000, "%FF%FE", "%C3%A9", "..%3B", "-1", "%20"])
def test_an_unknown_hook_is_a_404_after_the_same_work(hook, pk, monkeypatch):
    checked = []
    real = verifying.is_signed
    monkeypatch.setattr(hook_views, "is_signed", lambda *given: checked.append(given) or real(*given))
    assert_failure(hook.send(b"{}", path=f"{V1}/hooks/{pk}"), 404, "not_found")
    assert [(len(secret) >= 50, body) for secret, body, _ in checked] == [(True, b"{}")]


def test_a_deleted_hook_is_a_404(hook):
    hook.person.delete(f"/triggers/{hook.id}")
    assert_failure(hook.deliver(), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(hook, method):
    answer = Client().generic(method, hook.path, headers=hook.person.headers)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


@pytest.mark.parametrize("raw", [b"{", b'{"a": NaN}', b'{"a": "\\u0000"}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 5_000])
def test_a_signed_body_that_is_no_strict_json_is_a_400(hook, raw):
    assert_failure(hook.deliver(raw), 400, "bad_request")
    assert Workflow.objects.count() == 0


def test_a_signed_form_is_a_415(hook):
    answer = hook.deliver(b"payload=%7B%7D", content_type="application/x-www-form-urlencoded")
    assert_failure(answer, 415, "unsupported_media_type")


def test_a_body_that_was_too_large_to_be_read_is_a_413(hook):
    answer = Client().post(hook.path, b"", content_type="application/json", **{"taskmaster.body_over": 1024**2})
    assert_failure(answer, 413, "body_too_large")


def test_a_suspended_organizations_hook_is_a_403(hook, org):
    suspend(org)
    assert_failure(hook.deliver(), 403, "organization_suspended")
    assert Workflow.objects.count() == 0


def test_a_template_that_is_gone_or_has_changed_is_a_409_that_says_so(hook):
    hook.person.delete(f"/workflow-templates/{hook.template}")
    answer = hook.deliver(webhook_id="msg_1")
    assert_failure(answer, 409, "conflict")
    assert "template" in answer.json()["error"]
    assert TriggerDelivery.objects.count() == 0
    hook.person.post("/workflow-templates", {"id": hook.template, "name": "T", "steps": [step("ok", "approval")]})
    assert hook.deliver(webhook_id="msg_1").status_code == 202


def test_a_secret_that_cannot_be_read_any_more_lets_nobody_in(hook):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE workflows_app_trigger SET secret = 'sealed with a lost key'")
    assert_failure(hook.deliver(), 401, "unauthenticated")
    raw = b"{}"
    for secret in ("", "None", "sealed with a lost key"):
        assert_failure(hook.send(raw, {"X-TaskMaster-Signature": signature(secret, raw)}), 401, "unauthenticated")


# The same delivery twice


@pytest.mark.parametrize("header", deliveries.KEYS)
def test_the_same_delivery_twice_starts_one_workflow(hook, header):
    first, again, other = (hook.deliver(**{header: key}) for key in ("one", "one", "two"))
    assert first.json()["workflowId"] == again.json()["workflowId"] != other.json()["workflowId"]
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.has_header("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (False, "true")
    assert Workflow.objects.count() == 2


def test_without_a_name_every_delivery_is_a_new_one(hook):
    assert hook.deliver().json()["workflowId"] != hook.deliver().json()["workflowId"]
    assert TriggerDelivery.objects.count() == 0


def test_the_same_name_with_another_body_is_a_409(hook):
    assert hook.deliver({"a": 1}, idempotency_key="one").status_code == 202
    assert_failure(hook.deliver({"a": 2}, idempotency_key="one"), 409, "idempotency_conflict")
    assert Workflow.objects.count() == 1


def test_names_of_different_hooks_and_headers_have_nothing_to_do_with_each_other(alice, hook):
    other = Hook(alice)
    answers = [hook.deliver(webhook_id="one"), other.deliver(webhook_id="one"), hook.deliver(idempotency_key="one")]
    assert len({answer.json()["workflowId"] for answer in answers}) == 3


@pytest.mark.parametrize("key", ["x" * 10_000, "é☃".encode().decode("latin-1"), " ", "a\x7fb"])
def test_a_strange_name_is_a_name_like_any_other(hook, key):
    first, again = hook.deliver(webhook_id=key), hook.deliver(webhook_id=key)
    assert first.json()["workflowId"] == again.json()["workflowId"]


@pytest.mark.django_db(transaction=True)
def test_the_same_delivery_many_times_at_once_starts_one_workflow(alice):
    hook = Hook(alice)
    for name in ("one", "two"):
        answers = at_once(*[lambda name=name: hook.deliver(webhook_id=name)] * 8)
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["workflowId"] for answer in answers}) == 1
    assert Workflow.objects.count() == 2


# Limits


def limits(answer):
    return tuple(int(answer[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining"))


def test_failures_are_counted_by_address_and_never_block_whoever_signs(hook, settings):
    settings.RATE_LIMIT_ANONYMOUS = "3/1d"
    answers = [hook.send(b"{}") for _ in range(3)]
    assert [(answer.status_code, limits(answer)) for answer in answers] == [(401, (3, 2)), (401, (3, 1)), (401, (3, 0))]
    unknown = hook.send(b"{}", path=f"{V1}/hooks/{NOBODY}")
    assert_failure(unknown, 429, "rate_limited")
    assert int(unknown["Retry-After"]) > 0
    assert hook.send(b"{}", address="127.0.0.2").status_code == 401
    assert hook.deliver().status_code == 202


def test_good_deliveries_are_counted_by_hook(hook, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "2/1d"
    answers = [hook.deliver(address=f"127.0.0.{number}") for number in range(1, 4)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert limits(answers[1]) == (2, 0)
    assert_failure(answers[2], 429, "rate_limited")
    assert Workflow.objects.count() == 2


def test_an_organizations_own_rate_holds_for_each_of_its_hooks(alice, hook, org):
    other = Hook(alice)
    org.rate_limit = "1/1d"
    org.save()
    assert [hook.deliver().status_code, hook.deliver().status_code, other.deliver().status_code] == [202, 429, 202]


# The door


@pytest.mark.parametrize(
    "path",
    [
        "/hooks",
        "/hooks/",
        f"/hooks/{NOBODY}/",
        f"/hooks/{NOBODY}/x",
        "/hooks/x%2Fy",
        "/Hooks/x",
        "/hooksx",
        "/hook/x",
        "//hooks/x",
        "/x/hooks/x",
    ],
)
def test_nothing_but_the_hook_itself_is_open(db, path):
    for method in ("GET", "POST"):
        assert_failure(Client().generic(method, V1 + path), 401, "unauthenticated")


def test_a_hooks_path_is_no_way_to_anything_else(alice):
    for path in ("/hooks/..%2Fagents", "/hooks/../agents", "/hooks/%2E%2E/agents"):
        answer = Client().get(V1 + path)
        assert answer.status_code in (401, 405)
        assert "agents" not in answer.json()


def test_the_secret_is_in_no_answer_and_no_row(hook):
    answers = [hook.deliver(), hook.send(b"{}"), hook.person.get("/triggers"), hook.person.get("/workflows")]
    assert all(SECRET not in answer.text for answer in answers)
    assert SECRET not in str(stored())
    assert Trigger.objects.get().secret == SECRET
