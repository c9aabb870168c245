"""Idempotency-Key: the same POST twice has one effect and one answer."""

from datetime import timedelta

import pytest

from agents_app import leases
from agents_app.models import Agent, Task
from sessions_app.models import Message, Session
from taskmaster.api.idempotency import KEPT, store_final
from taskmaster.api.models import IdempotencyKey
from taskmaster.core.clock import now
from taskmaster.core.secret_box import unseal
from taskmaster.orgs.models import ApiToken
from tests.conftest import person

from .calls import assert_failure, call, routes
from .racing import at_once
from .routes import ROUTES
from .world import stored

pytestmark = pytest.mark.django_db
POSTS = [route for route in ROUTES if route.idempotent]
CREATES = [route for route in POSTS if route.body]
ENVELOPE = ("timestamp", "requestId")
AGENT = {"name": "one", "type": "custom", "backend": "echo"}


def payload(response):
    return {key: value for key, value in response.json().items() if key not in ENVELOPE}


def replayed(response):
    return response.headers.get("Idempotent-Replayed") == "true"


@routes(POSTS)
def test_the_same_request_again_replays_the_answer(route, alice, world):
    path, body = world.path(route.path), route.body(world) if route.body else None
    first = call(alice, route, path, body, idempotency_key="k-1")
    assert first.status_code == route.status
    assert not replayed(first)
    after = stored()
    for _ in range(2):
        again = call(alice, route, path, body, idempotency_key="k-1")
        assert replayed(again)
        assert (again.status_code, payload(again)) == (first.status_code, payload(first))
        assert again.headers.get("Location") == first.headers.get("Location")
        assert again["X-Request-ID"] != first["X-Request-ID"]
    assert stored() == after


@routes(CREATES)
def test_another_body_under_the_key_is_a_conflict(route, alice, world):
    path, body = world.path(route.path), route.body(world)
    call(alice, route, path, body, idempotency_key="k")
    after = stored()
    for other in (body | {"unread": 1}, {}, None):
        assert_failure(call(alice, route, path, other, idempotency_key="k"), 409, "idempotency_conflict")
    assert stored() == after


def test_another_route_under_the_key_is_a_conflict(alice, world):
    assert alice.post(f"/agents/{world['agent']}/pause", idempotency_key="k").status_code == 200
    after = stored()
    for path in (f"/agents/{world['agent']}/resume", f"/agents/{world['agent']}/pause?x=1"):
        assert_failure(alice.post(path, idempotency_key="k"), 409, "idempotency_conflict")
    assert stored() == after


def test_without_a_key_there_are_two_rows(alice):
    before = Agent.objects.count()
    ids = {alice.post("/agents", AGENT).json()["agent"]["id"] for _ in range(2)}
    assert len(ids) == 2
    assert Agent.objects.count() == before + 2
    assert not IdempotencyKey.objects.exists()


def test_only_posts_look_at_the_key(alice, world):
    path = f"/agents/{world['agent']}"
    for name in ("first", "second"):
        response = alice.patch(path, {"name": name}, idempotency_key="k")
        assert response.json()["agent"]["name"] == name
        assert not replayed(alice.get(path, idempotency_key="k"))
    assert alice.delete(path, idempotency_key="k").status_code == 200
    assert not IdempotencyKey.objects.exists()


@routes(CREATES)
def test_a_bad_key_is_a_400(route, alice, world):
    path, body = world.path(route.path), route.body(world)
    before = stored()
    for key in ("", "é", "x" * 256, "a\tb", "a\x7fb"):
        response = call(alice, route, path, body, idempotency_key=key)
        assert_failure(response, 400, "validation_failed")
        assert response.json()["details"][0]["field"] == "Idempotency-Key"
    assert stored() == before


@pytest.mark.parametrize("key", ["x" * 255, "a b", "~!@#$%^&*()", "8e03978e-40d5-43e8-bc93-6894a57f9324"])
def test_any_printable_key_is_good(alice, key):
    answers = [alice.post("/agents", AGENT, idempotency_key=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [replayed(answer) for answer in answers] == [False, True]


def test_a_400_is_stored(alice):
    wrong = AGENT | {"type": "nonsense"}
    first, again = (alice.post("/agents", wrong, idempotency_key="k") for _ in range(2))
    assert_failure(first, 400, "validation_failed")
    assert replayed(again)
    assert payload(again) == payload(first)
    assert IdempotencyKey.objects.get().status == 400


def test_a_404_is_stored(alice):
    first, again = (alice.post("/tasks/task_nope/cancel", idempotency_key="k") for _ in range(2))
    assert_failure(first, 404, "not_found")
    assert replayed(again)
    assert payload(again) == payload(first)


def test_a_409_is_not_stored(alice, world):
    path = f"/tasks/{world['task']}/retry"
    assert_failure(alice.post(path, idempotency_key="k"), 409, "invalid_state")
    assert not IdempotencyKey.objects.exists()
    alice.post(f"/tasks/{world['task']}/cancel")
    second = alice.post(path, idempotency_key="k")
    assert (second.status_code, replayed(second)) == (200, False)


def test_a_503_is_not_stored(alice, world):
    body = {"agentType": "custom", "capabilities": ["juggling"], "type": "t", "description": "d"}
    assert_failure(alice.post("/tasks", body, idempotency_key="k"), 503, "no_agent")
    assert not IdempotencyKey.objects.exists()
    assert not Task.objects.exists()
    alice.patch(f"/agents/{world['agent']}", {"capabilities": ["juggling"]})
    second = alice.post("/tasks", body, idempotency_key="k")
    assert (second.status_code, replayed(second)) == (202, False)


def test_a_429_is_not_stored(alice, settings):
    settings.RATE_LIMIT_AUTHENTICATED = "1/1d"
    alice.get("/agents")
    assert_failure(alice.post("/agents", AGENT, idempotency_key="k"), 429, "rate_limited")
    assert not IdempotencyKey.objects.exists()
    settings.RATE_LIMIT_AUTHENTICATED = "1000/1d"
    second = alice.post("/agents", AGENT, idempotency_key="k")
    assert (second.status_code, replayed(second)) == (201, False)


def test_a_500_is_not_stored(alice, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("agents_app.views.registry.register", lambda **_: 1 / 0)
        assert_failure(alice.post("/agents", AGENT, idempotency_key="k"), 500, "internal_error")
    assert not IdempotencyKey.objects.exists()
    assert alice.post("/agents", AGENT, idempotency_key="k").status_code == 201


def test_what_a_failed_request_wrote_is_gone(alice, monkeypatch):
    def half(**fields):
        Agent.objects.create(org=fields["org"], name="half", type="custom", backend="echo")
        raise RuntimeError

    monkeypatch.setattr("agents_app.views.registry.register", half)
    before = stored()
    assert_failure(alice.post("/agents", AGENT, idempotency_key="k"), 500, "internal_error")
    assert stored() == before


def test_a_missing_scope_neither_stores_nor_replays(alice, bob):
    alice.post("/agents", AGENT, idempotency_key="k")
    after = stored()
    assert_failure(bob.post("/agents", AGENT, idempotency_key="k"), 403, "missing_scope")
    assert_failure(bob.post("/agents", AGENT, idempotency_key="other"), 403, "missing_scope")
    assert stored() == after


def test_keys_belong_to_the_organization_and_not_to_the_token(alice, charlie):
    first = alice.post("/agents", AGENT, idempotency_key="k")
    theirs = charlie.post("/agents", AGENT, idempotency_key="k")
    colleague = person(alice.org).post("/agents", AGENT, idempotency_key="k")
    assert (theirs.status_code, replayed(theirs)) == (201, False)
    assert theirs.json()["agent"]["id"] != first.json()["agent"]["id"]
    assert replayed(colleague)
    assert payload(colleague) == payload(first)


def test_a_key_is_forgotten_after_24_hours(alice):
    first = alice.post("/agents", AGENT, idempotency_key="k")
    assert timedelta(hours=24) == KEPT
    row = IdempotencyKey.objects.filter(key="k")
    row.update(created_at=now() - KEPT + timedelta(minutes=1))
    assert replayed(alice.post("/agents", AGENT, idempotency_key="k"))
    row.update(created_at=now() - KEPT - timedelta(minutes=1))
    second = alice.post("/agents", {**AGENT, "name": "two"}, idempotency_key="k")
    assert (second.status_code, replayed(second)) == (201, False)
    assert second.json()["agent"]["id"] != first.json()["agent"]["id"]
    assert replayed(alice.post("/agents", {**AGENT, "name": "two"}, idempotency_key="k"))


def test_a_tokens_secret_is_replayed_but_lies_sealed(alice):
    body = {"name": "ci", "scopes": ["read"]}
    first, again = (alice.post("/tokens", body, idempotency_key="k") for _ in range(2))
    secret = first.json()["token"]["secret"]
    assert again.json()["token"]["secret"] == secret
    assert ApiToken.objects.filter(name="ci").count() == 1
    row = IdempotencyKey.objects.get()
    assert secret not in str(vars(row))
    assert secret.encode() in unseal(row.sealed)


def test_problem_details_are_asked_for_anew(alice):
    wrong = AGENT | {"type": "nonsense"}
    alice.post("/agents", wrong, idempotency_key="k")
    again = alice.post("/agents", wrong, idempotency_key="k", accept="application/problem+json")
    assert again.status_code == 400
    assert replayed(again)


def finish(message_id, content):
    """What the worker would do."""
    task = Task.objects.get(origin_id=message_id)
    (claimed,) = leases.claim(task.agent_id, "worker_x", 1, ready=lambda agent: True).tasks
    assert claimed.pk == task.pk
    assert leases.complete(claimed, result={"content": content})


def test_a_message_is_replayed_while_it_waits_and_after_it_finished(alice, world):
    path, body = f"/sessions/{world['session']}/messages", {"content": "hello"}
    first = alice.post(path, body, idempotency_key="k")
    again = alice.post(path, body, idempotency_key="k")
    assert (first.status_code, again.status_code) == (202, 202)
    assert payload(again) == payload(first)
    assert again.wait.key == first.wait.key  # The second caller waits as the first does.
    finish(first.json()["messageId"], "world")
    # The server that held the first caller is gone: the second one's gets the answer all the same.
    lost = alice.post(path, body, idempotency_key="k")
    assert lost.wait.finish().status_code == 200
    store_final(first.wait.idempotency, first.wait.finish())
    final = alice.post(path, body, idempotency_key="k")
    assert (final.status_code, final.wait) == (200, None)
    assert replayed(final)
    assert final.json()["response"]["content"] == "world"
    assert Message.objects.count() == 1


def test_the_final_answer_is_stored_once(alice, world):
    path, body = f"/sessions/{world['session']}/messages", {"content": "hello"}
    first = alice.post(path, body, idempotency_key="k")
    finish(first.json()["messageId"], "world")
    store_final(first.wait.idempotency, first.wait.finish())
    kept = IdempotencyKey.objects.get().sealed
    Message.objects.update(response={"content": "changed"})
    store_final(first.wait.idempotency, first.wait.finish())
    assert IdempotencyKey.objects.get().sealed == kept


def test_an_asynchronous_message_keeps_its_202(alice, world):
    path, body = f"/sessions/{world['session']}/messages", {"content": "hello"}
    first = alice.post(path, body, idempotency_key="k", prefer="respond-async")
    finish(first.json()["messageId"], "world")
    again = alice.post(path, body, idempotency_key="k", prefer="respond-async")
    assert (again.status_code, again.wait, payload(again)) == (202, None, payload(first))


@pytest.mark.django_db(transaction=True)
def test_two_at_once_make_one_row(alice, world):
    path = f"/agents/{world['agent']}/tasks"
    body = {"type": "t", "description": "d"}
    people = [person(alice.org) for _ in range(4)]
    calls = [lambda who=who: who.post(path, body, idempotency_key="k") for who in people]
    answers = at_once(*calls)
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.json()["taskId"] for answer in answers}) == 1
    assert sorted(replayed(answer) for answer in answers) == [False, True, True, True]
    assert Task.objects.count() == 1
    assert IdempotencyKey.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_different_ones_at_once_one_wins(alice):
    body = {"agentType": "custom"}
    people = [person(alice.org) for _ in range(3)]
    bodies = [body | {"configuration": {"timeout": 1000 + n}} for n in range(3)]
    calls = [lambda w=w, b=b: w.post("/sessions", b, idempotency_key="k") for w, b in zip(people, bodies, strict=True)]
    answers = at_once(*calls)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert Session.objects.count() == 1
