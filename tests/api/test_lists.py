"""The parameters of every list: a bad one is a 400 that names it, never a 500."""

import base64

import pytest

from agents_app import logs
from agents_app.models import Task
from taskmaster.events import relay

from .calls import assert_failure, routes
from .routes import LISTS
from .world import World

pytestmark = pytest.mark.django_db

NOT_A_NUMBER = ("", "abc", "-1", "%00", "1%00", "1e9", "1.5", "%20", "1%20", "0x1", "None", "%D9%A3", "9" * 30, "NaN")
BAD_LIMITS = (*NOT_A_NUMBER, "0", "101")
BAD_CURSORS = ("", "abc", "%00", "%FF", "é", "=", "bnVsbA", "W10", "x" * 5000, "e30", "-1", "eyJhIjoxfQ==", "dHJ1ZQ")
STRANGE_FILTERS = (
    "",
    "no_such_thing",
    "%00",
    "a%00b",
    "%FF",
    "%ED%A0%80",
    "%E2%98%83",
    "x" * 3000,
    "[]",
    "'",
    "%25",
    "1",
)

FINDS_ALL = (("after", "1"), ("prefix", ""))


def get(alice, route, query, path=None):
    return alice.get(f"{path or World(alice).path(route.path)}?{query}")


@routes(LISTS)
def test_a_bad_limit(route, alice):
    path = World(alice).path(route.path)
    for value in BAD_LIMITS:
        response = get(alice, route, f"limit={value}", path)
        assert_failure(response, 400, "validation_failed")
        assert [detail["field"] for detail in response.json()["details"]] == ["limit"], value


@routes(LISTS)
def test_a_bad_offset(route, alice):
    path = World(alice).path(route.path)
    for value in (*NOT_A_NUMBER, str(2**53)):
        response = get(alice, route, f"offset={value}", path)
        assert_failure(response, 400, "validation_failed")
        assert [detail["field"] for detail in response.json()["details"]] == ["offset"], value


@routes(LISTS)
def test_a_bad_cursor(route, alice):
    path = World(alice).path(route.path)
    encoded = [base64.urlsafe_b64encode(raw).decode() for raw in (b"1e400", b"-5", b"9" * 40, b'"\\ud800"', b"[" * 999)]
    for value in (*BAD_CURSORS, *encoded):
        response = get(alice, route, f"cursor={value}", path)
        assert_failure(response, 400, "validation_failed")
        assert [detail["field"] for detail in response.json()["details"]] == ["cursor"], value


@routes(LISTS)
def test_good_limits_and_any_depth(route, alice):
    path = World(alice).path(route.path)
    for query in ("limit=1", "limit=100", "limit=007", "offset=0", f"offset={2**53 - 1}", "offset=5&limit=5"):
        response = get(alice, route, query, path)
        assert response.status_code == 200, query
    document = get(alice, route, f"offset={2**53 - 1}", path).json()
    assert document[route.items] == []
    assert document["pagination"]["hasMore"] is False


@routes(LISTS)
def test_the_defaults(route, alice):
    pagination = get(alice, route, "").json()["pagination"]
    assert set(pagination) == {"total", "limit", "offset", "hasMore", "nextCursor"}
    assert (pagination["limit"], pagination["offset"]) == (50, 0)


@routes([route for route in LISTS if route.filters])
def test_a_strange_filter_never_finds_anything(route, alice):
    world = World(alice)
    assert world.message
    assert world.task
    path = world.path(route.path)
    for name in route.filters:
        for value in STRANGE_FILTERS:
            response = get(alice, route, f"{name}={value}", path)
            assert response.status_code in (200, 400), (name, value, response.json())
            if response.status_code == 400:
                assert [detail["field"] for detail in response.json()["details"]] == [name]
            elif (name, value) not in FINDS_ALL:
                assert response.json()[route.items] == [], (name, value)


@routes(LISTS)
def test_another_lists_cursor_is_refused(route, alice):
    """Every list's own cursor works in it and in no other list."""
    worlds = [World(alice), World(alice)]
    for world in worlds:
        assert world.message
        assert world.say("and")
        assert world.cancelled_task
        assert world.task
        assert world.token
        assert world.action
        assert world.ask(key="call_2")
        assert world.file
        assert world.put("another")
        assert world.workflow
        assert world.create()
        assert world.schedule
        assert world.plan()
        assert world.trigger
        assert world.hook()
        logs.write(Task.objects.get(pk=world.task), ["one", "two"])
    relay.drain()
    paths = {str(other): worlds[0].path(other.path) for other in LISTS}
    paths["another session"] = worlds[1].path("/sessions/{session}/messages")
    mine = paths[str(route)]
    cursors = {path: alice.get(f"{path}?limit=1").json()["pagination"]["nextCursor"] for path in paths.values()}
    assert all(cursors.values())
    for path, cursor in cursors.items():
        response = alice.get(f"{mine}?cursor={cursor}")
        if path == mine:
            assert response.status_code == 200
        else:
            assert_failure(response, 400, "validation_failed")
