"""Every route, from the table: who may call it, with which ids and methods, and what every answer carries."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from taskmaster.orgs.models import SCOPES
from taskmaster.orgs.organizations import suspend
from tests.conftest import V1, person

from .calls import assert_failure, body_of, call, routes, the_same
from .routes import ACTIONS, ANSWER_FILES, ANSWER_PICTURES, ANSWER_STREAMS, ENVELOPED, OPEN, ROUTES
from .world import World, stored

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOBODY = "00000000000000000000000000"
STRANGE_IDS = ("%00", "a%00b", "x" * 5000, "%C3%A9%E2%98%83", "%FF%FE", "%20", "%F0%9F%98%80", "..%3B", "'\"", "-1")

pytestmark = pytest.mark.django_db


def found_routes(patterns, prefix=""):
    """(method, pattern) of every view under `patterns`; the method of a plain view is None."""
    for entry in patterns:
        path = prefix + re.sub(r"<[^>]*>", "{}", str(entry.pattern))
        if isinstance(entry, URLResolver):
            yield from found_routes(entry.url_patterns, path)
        elif isinstance(entry, URLPattern):
            actions = getattr(entry.callback, "actions", None) or {None: None}
            yield from ((method and method.upper(), path) for method in actions if method != "head")


def test_every_route_is_in_the_table():
    below = {
        (m, p.removeprefix("api/v1")) for m, p in found_routes(get_resolver().url_patterns) if p.startswith("api/v1/")
    }
    assert {(method, path) for method, path in below if method} == {(route.method, route.pattern) for route in ROUTES}
    assert {path for method, path in below if method is None} == set(OPEN)


def test_a_new_route_would_be_noticed():
    from django.urls import path

    from agents_app.views import AgentViewSet

    new = [path("api/v1/agents/<str:pk>/new", AgentViewSet.as_view({"post": "submit", "get": "status"}))]
    assert set(found_routes(new)) == {("POST", "api/v1/agents/{}/new"), ("GET", "api/v1/agents/{}/new")}


@routes(ENVELOPED)
def test_it_works_for_whoever_may_call_it(route, org):
    caller, world = person(org, [route.scope]), World(person(org))
    path = world.path(route.path)
    response = call(caller, route, path, body_of(route, world))
    document = response.json()
    assert response.status_code == route.status, document
    assert (document["success"], document["error"]) == (True, None)
    assert document["requestId"] == response["X-Request-ID"]
    members = {k: v for k, v in document.items() if k not in ("success", "error", "timestamp", "requestId", "data")}
    assert document["data"] == members
    assert members
    if route.status in (201, 202):
        assert person(org).get(response["Location"].removeprefix(V1)).status_code == 200


@routes(ANSWER_FILES)
def test_a_file_comes_as_it_is_to_whoever_may_have_it(route, org):
    response = call(person(org, [route.scope]), route, World(person(org)).path(route.path), None)
    assert (response.status_code, response.getvalue()) == (200, b"hello")
    assert response["Content-Type"] == "application/octet-stream"
    assert {"X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)


@routes(ANSWER_PICTURES)
def test_a_picture_comes_as_it_is_to_whoever_may_see_it(route, org):
    response = call(person(org, [route.scope]), route, World(person(org)).path(route.path), None)
    assert (response.status_code, response["Content-Type"]) == (200, route.picture)
    assert response.content
    assert {"X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)


@routes(ANSWER_STREAMS)
def test_a_stream_begins_for_whoever_may_follow_it(route, org):
    response = call(person(org, [route.scope]), route, World(person(org)).path(route.path), None)
    assert (response.status_code, response.follow.org_id) == (200, org.pk)
    assert response.content.startswith(b": connected\n")
    assert response["Content-Type"] == "text/event-stream; charset=utf-8"
    assert {"X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)


@routes()
def test_no_token(route, alice):
    path = World(alice).path(route.path)
    before = stored()
    response = Client().generic(route.method, V1 + path, headers={"X-Org-ID": alice.org.pk})
    assert_failure(response, 401, "unauthenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    assert stored() == before


BAD_TOKENS = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer tm_wrong",
    "Basic YTpi",
    "Bearer tm_\xe9",
    "Token {0}",
    "{0}",
    "Bearer {0}x",
)


@routes()
def test_a_bad_token(route, alice):
    path = World(alice).path(route.path)
    before = stored()
    for authorization in BAD_TOKENS:
        headers = {"Authorization": authorization.format(alice.token), "X-Org-ID": alice.org.pk}
        response = alice.client.generic(route.method, V1 + path, headers=headers)
        assert_failure(response, 401, "unauthenticated")
        assert response["WWW-Authenticate"] == "Bearer"
    assert stored() == before


@routes()
def test_no_organization(route, alice):
    world = World(alice)
    path = world.path(route.path)
    before = stored()
    for given in ({}, {"X-Org-ID": ""}):
        headers = {"Authorization": f"Bearer {alice.token}", **given}
        response = alice.client.generic(route.method, V1 + path, headers=headers)
        assert_failure(response, 401, "unauthenticated")
        assert response["WWW-Authenticate"] == "Bearer"
    assert stored() == before


@routes()
def test_another_organization_is_refused_whether_or_not_it_exists(route, alice, charlie):
    world = World(alice)
    path, body = world.path(route.path), body_of(route, world)
    before = stored()
    existing, missing, odd = (
        call(alice, route, path, body, x_org_id=given, x_request_id="same")
        for given in (charlie.org.pk, f"org_{NOBODY}", alice.org.slug)
    )
    assert_failure(existing, 403, "wrong_organization")
    assert the_same(existing, missing)
    assert the_same(existing, odd)
    assert stored() == before


@routes()
def test_a_missing_scope(route, alice):
    world = World(alice)
    path, body = world.path(route.path), body_of(route, world)
    others = person(alice.org, [scope for scope in SCOPES if scope != route.scope])
    before = stored()
    assert_failure(call(others, route, path, body), 403, "missing_scope")
    assert stored() == before


@routes()
def test_a_suspended_organization(route, alice):
    world = World(alice)
    path, body = world.path(route.path), body_of(route, world)
    suspend(alice.org)
    before = stored()
    assert_failure(call(alice, route, path, body), 403, "organization_suspended")
    assert stored() == before


@routes([route for route in ROUTES if route.names])
def test_another_organizations_object_does_not_exist(route, alice, charlie):
    world, theirs = World(alice), World(charlie)
    for name in route.names:
        body = body_of(route, world)
        foreign = world.path(route.path, **{name: theirs[name]})
        nowhere = world.path(route.path, **{name: theirs[name].split("_")[0] + "_" + NOBODY})
        before = stored()
        one = call(alice, route, foreign, body, x_request_id="same")
        other = call(alice, route, nowhere, body, x_request_id="same")
        assert_failure(one, 404, "not_found")
        assert the_same(one, other), name
        assert stored() == before, name


@routes([route for route in ROUTES if len(route.names) == 2])
def test_an_object_under_the_wrong_parent_does_not_exist(route, alice):
    world, other = World(alice), World(alice)
    path = world.path(route.path, **{route.names[1]: other[route.names[1]]})
    before = stored()
    assert_failure(call(alice, route, path, None), 404, "not_found")
    assert stored() == before


@routes([route for route in ROUTES if route.foreign])
def test_another_organizations_id_in_a_body_does_not_exist(route, alice, charlie):
    world, theirs = World(alice), World(charlie)
    path = world.path(route.path)
    for field, name in route.foreign.items():
        body, foreign, before = route.body(world), theirs[name], stored()
        assert field in body
        one = call(alice, route, path, body | {field: foreign}, x_request_id="same")
        other = call(alice, route, path, body | {field: f"{name}_{NOBODY}"}, x_request_id="same")
        assert_failure(one, 404, "not_found")
        assert the_same(one, other), field
        assert stored() == before, field


@routes([route for route in ROUTES if route.foreign])
def test_a_strange_id_in_a_body(route, alice):
    world = World(alice)
    path = world.path(route.path)
    for field in route.foreign:
        body, before = route.body(world), stored()
        for value, statuses in (("é☃", (404,)), ("x" * 5000, (400, 404)), (5, (400,)), ([], (400,)), ({}, (400,))):
            response = call(alice, route, path, body | {field: value})
            assert response.status_code in statuses, (field, value, response.json())
        assert stored() == before


@routes([route for route in ROUTES if route.names])
def test_a_strange_id_is_a_404(route, alice):
    world = World(alice)
    body = body_of(route, world)
    for name in route.names:
        ids, before = world.ids(route.path), stored()
        for strange in STRANGE_IDS:
            response = call(alice, route, world.path(route.path, **{**ids, name: strange}), body)
            assert_failure(response, 404, "not_found")
        assert stored() == before


@pytest.mark.parametrize("pattern", sorted({route.pattern for route in ROUTES}))
def test_other_methods_are_not_allowed(pattern, alice):
    here = [route for route in ROUTES if route.pattern == pattern]
    allowed = {route.method for route in here}
    path = World(alice).path(here[0].path)
    before = stored()
    for method in set(METHODS) - allowed:
        response = alice.call(method, path, {"some": "body"})
        assert_failure(response, 405, "method_not_allowed")
        assert allowed <= {name.strip() for name in response["Allow"].split(",")}
        assert method not in response["Allow"]
    assert stored() == before


@routes()
def test_a_trailing_slash_is_a_404(route, alice):
    world = World(alice)
    path, body, before = world.path(route.path), body_of(route, world), stored()
    response = call(alice, route, f"{path}/", body)
    assert_failure(response, 404, "not_found")
    assert not response.has_header("Location")
    assert stored() == before


@pytest.mark.parametrize("path", ["/", "/nothing", "/Agents", "//agents", "/agents.json", "/sessions/x/messages/y/z"])
def test_an_unknown_path_is_a_404(path, alice):
    response = alice.get(path)
    assert_failure(response, 404, "not_found")
    assert response["X-RateLimit-Limit"]


@routes([route for route in ROUTES if route.method == "GET"])
def test_head_is_get_without_a_body(route, alice):
    world = World(alice)
    response = alice.call("HEAD", world.path(route.path))
    assert (response.status_code, response.getvalue()) == (200, b"")


@routes(ENVELOPED)
def test_every_answer_tells_its_request_and_the_limits(route, alice, bob):
    world = World(alice)
    path = world.path(route.path)
    answers = (
        call(alice, route, path, body_of(route, world)),
        call(bob, route, path, None, x_org_id="org_x"),
        alice.call("PUT", path),
        alice.get("/nothing"),
        Client().generic(route.method, V1 + path),
    )
    seen = set()
    for response in answers:
        assert re.fullmatch(r"req_[0-9a-z]{26}", response["X-Request-ID"])
        assert response.json()["requestId"] == response["X-Request-ID"]
        assert response["Content-Type"] == "application/json"
        assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(response.headers)
        seen.add(response["X-Request-ID"])
    assert len(seen) == len(answers)


def test_a_sane_request_id_is_kept(alice):
    response = alice.get("/agents", x_request_id="trace-1:a.b_c")
    assert (response["X-Request-ID"], response.json()["requestId"]) == ("trace-1:a.b_c", "trace-1:a.b_c")


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, 'quo"te', "é", "a\\b", "<b>"])
def test_any_other_request_id_is_replaced(alice, given):
    response = alice.get("/agents", x_request_id=given)
    assert re.fullmatch(r"req_[0-9a-z]{26}", response["X-Request-ID"])
    assert response.json()["requestId"] == response["X-Request-ID"]


@routes(ACTIONS)
def test_an_action_takes_an_empty_body(route, alice):
    for headers in ({}, {"content_type": "application/json"}):
        response = call(alice, route, World(alice).path(route.path), None, **headers)
        assert response.status_code == route.status


@routes(ACTIONS)
def test_an_action_takes_an_empty_object_and_unknown_members(route, alice):
    for body in ({}, {"unknown": 1}):
        assert call(alice, route, World(alice).path(route.path), body).status_code == route.status


def test_the_table_names_each_route_once():
    assert {route.scope for route in ROUTES} <= set(SCOPES)
    assert len({(route.method, route.pattern) for route in ROUTES}) == len(ROUTES)
