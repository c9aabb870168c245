"""Calling the routes of the table, and comparing what they answer."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import transaction

from tests.conftest import Person

from .routes import ROUTES, Route
from .world import World

TIMESTAMP = re.compile(rb'"timestamp":"[^"]*"')


def routes(selected: Sequence[Route] = ROUTES) -> pytest.MarkDecorator:
    """A test of each of these routes."""
    return pytest.mark.parametrize("route", selected, ids=str)


def call(caller: Person, route: Route, path: str, body: Any, **headers: str) -> Any:
    """The response to the route's method at this path."""
    # A request is not part of a transaction outside of tests, and what rolls back in it must not take the test along.
    with transaction.atomic():
        return caller.call(route.method, path, body, **headers)


def body_of(route: Route, world: World) -> dict[str, Any] | None:
    """A good body, where it takes one."""
    return route.body(world) if route.body else None


def the_same(one: Any, other: Any) -> bool:
    """Whether the bytes of both answers are the same, without the time."""
    return TIMESTAMP.sub(b"", one.content) == TIMESTAMP.sub(b"", other.content)


def assert_failure(response: Any, status: int, code: str) -> None:
    """A failure in the envelope."""
    document = response.json()
    assert (response.status_code, document["code"]) == (status, code), document
    assert document["success"] is False
    assert document["data"] is None
    assert isinstance(document["error"], str)
    assert document["error"]
