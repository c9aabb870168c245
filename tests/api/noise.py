"""Bodies of all shapes for the routes that take one, and what must be answered to each."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.conftest import Person

from .calls import call
from .routes import Route
from .world import World


def prepared(route: Route, alice: Person) -> tuple[str, dict[str, Any]]:
    """The route's path and a good body."""
    world = World(alice)
    return world.path(route.path), route.body(world) if route.body else {}


def anything(route: Route) -> Any:
    """Bodies of this route's fields, of names that look like them, and of nothing but noise."""
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(["custom", "echo", "high", "read", "\0", "task_x", "2100-01-01T00:00:00Z", "", "x" * 300]),
    )
    names = sorted({part for name in route.fields for part in name.split(".")} | {*route.foreign, "id", "status"})

    def objects(inner: Any) -> Any:
        return st.dictionaries(st.sampled_from(names) | st.text(max_size=5), inner, max_size=5)

    return objects(st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=6))


def assert_anything_is_answered(route: Route, alice: Person, data: st.DataObject) -> None:
    """Whatever object is sent, the answer is in the envelope."""
    path, good = prepared(route, alice)
    body = data.draw(anything(route))
    kept = data.draw(st.sets(st.sampled_from(sorted(good)))) if good else set()
    # Python's JSON writes NaN, lone surrogates and huge integers: all of them must be answered too.
    raw = json.dumps({key: good[key] for key in kept} | body).encode()
    response = call(alice, route, path, raw)
    document = response.json()
    assert response.status_code in {route.status, 400, 404, 409, 503}, (raw, document)
    assert document["success"] is (response.status_code < 400)
    assert {"success", "error", "timestamp", "requestId", "data"} <= set(document)
    assert (document["data"] is None) is (response.status_code >= 400)


def assert_noise_is_answered(route: Route, alice: Person, raw: bytes) -> None:
    """Whatever bytes are sent, the answer is in the envelope."""
    path, _ = prepared(route, alice)
    response = call(alice, route, path, raw)
    document = response.json()
    assert (response.status_code, document["success"]) in {(400, False), (route.status, True)}
    if raw:
        assert document["code"] in {"bad_request", "validation_failed"}
