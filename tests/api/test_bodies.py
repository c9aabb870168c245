"""Every bad body on every route: refused with 400 or 415, in the envelope, and nothing is written."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskmaster.core.strict_json import MAX_DEPTH

from .calls import assert_failure, call, routes
from .noise import assert_anything_is_answered, assert_noise_is_answered, prepared
from .routes import ROUTES, TAKE_FILES, WITH_BODY, WRITES
from .world import World, stored

pytestmark = pytest.mark.django_db

# Whole bodies that are no JSON object.
NOT_AN_OBJECT = {
    "array": b"[]",
    "array of objects": b"[{}]",
    "string": b'"x"',
    "null": b"null",
    "number": b"5",
    "true": b"true",
    "blank": b"  \n",
    "broken": b'{"name": "x"',
    "comma": b'{"name": "x",}',
    "single quotes": b"{'name': 'x'}",
    "two values": b"{} {}",
    "garbage": b"\x00\x01\x02",
    "comment": b"{} // x",
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"name": "x"}'.encode("utf-16"),
    "deep array": b"[" * 10_000,
    "deep object": b'{"a":' * 10_000,
    "form": b"name=x&type=custom",
}

# Values that may stand nowhere in a body, not even in a member that nobody reads.
BAD_VALUES = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    "2^53": b"9007199254740992",
    "-2^53": b"-9007199254740992",
    "5000 digits": b"9" * 5000,
    "NUL escaped": rb'"\u0000"',
    "NUL raw": b'"a\x00b"',
    "NUL in a key": rb'{"\u0000": 1}',
    "lone high surrogate": rb'"\ud800"',
    "lone low surrogate": rb'"\udc00x"',
    "surrogates swapped": rb'"\ude00\ud83d"',
    "lone surrogate in a key": rb'{"\ud800": 1}',
    "surrogate bytes": b'"\xed\xa0\x80"',
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "cut UTF-8": b'"\xe2\x98"',
    "duplicate keys": b'{"a": 1, "a": 1}',
    "duplicate keys, one escaped": rb'{"a": 1, "\u0061": 1}',
    "too deep": b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
    "10000 deep": b"[" * 10_000 + b"]" * 10_000,
    "10000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "hexadecimal": b"0x10",
    "leading zero": b"01",
    "undefined": b"undefined",
    "raw newline": b'"a\nb"',
}

WRONG_TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json-patch+json",
    "application/xml",
    "application/jsonx",
    "nonsense",
    "*/*",
)


def with_member(body, value):
    """The good body with one more member of that raw value."""
    text = json.dumps(body).encode()[:-1]
    return text + (b", " if body else b"") + b'"unread": ' + value + b"}"


@routes(WRITES)
def test_what_is_no_json_object_is_refused(route, alice):
    path, _ = prepared(route, alice)
    before = stored()
    for name, raw in NOT_AN_OBJECT.items():
        assert_failure(call(alice, route, path, raw), 400, "bad_request")
        assert stored() == before, name


@routes(WRITES)
def test_what_strict_json_forbids_is_refused_wherever_it_stands(route, alice):
    path, body = prepared(route, alice)
    before = stored()
    for raw in BAD_VALUES.values():
        assert_failure(call(alice, route, path, with_member(body, raw)), 400, "bad_request")
    assert stored() == before


@routes([route for route in WRITES if route.body])
def test_a_key_of_the_route_given_twice_is_refused(route, alice):
    path, body = prepared(route, alice)
    before = stored()
    for key in body:
        raw = json.dumps(body).encode()[:-1] + f', "{key}": {json.dumps(body[key])}}}'.encode()
        assert_failure(call(alice, route, path, raw), 400, "bad_request")
    assert stored() == before


@routes(WRITES)
def test_any_other_content_type_is_refused(route, alice):
    path, body = prepared(route, alice)
    before = stored()
    for content_type in WRONG_TYPES:
        response = alice.client.generic(
            route.method, f"/api/v1{path}", json.dumps(body), content_type=content_type, headers=alice.headers
        )
        assert_failure(response, 415, "unsupported_media_type")
    assert stored() == before


@routes(WITH_BODY)
def test_a_charset_and_unknown_members_are_fine(route, alice):
    path, body = prepared(route, alice)
    response = alice.client.generic(
        route.method,
        f"/api/v1{path}",
        json.dumps(body | {"unknown": {"a": [None, 1.5]}, "self": 1, "args": 2}),
        content_type="application/json; charset=utf-8",
        headers=alice.headers,
    )
    assert response.status_code == route.status, response.json()


@routes(WITH_BODY)
def test_nesting_up_to_the_bound_is_fine(route, alice):
    path, body = prepared(route, alice)
    deep = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert call(alice, route, path, with_member(body, deep)).status_code == route.status


@routes([route for route in WITH_BODY if route.fields])
def test_a_field_of_the_wrong_type_is_named(route, alice):
    path, body = prepared(route, alice)
    before = stored()
    for name, value in route.wrong_values():
        response = call(alice, route, path, changed(body, name, value))
        assert response.status_code == 400, (name, value, response.json())
        assert_failure(response, 400, "validation_failed")
        details = response.json()["details"]
        assert all(set(detail) == {"field", "message"} and detail["message"] for detail in details)
        # An item of a list is named with its place in it.
        assert {re.sub(r"\.0\Z", "", detail["field"]) for detail in details} == {name}, (name, value)
    assert stored() == before


@routes([route for route in WITH_BODY if route.required])
def test_a_missing_field_is_named(route, alice):
    path, body = prepared(route, alice)
    before = stored()
    for name in route.required:
        response = call(alice, route, path, {key: value for key, value in body.items() if key != name})
        assert_failure(response, 400, "validation_failed")
        assert [detail["field"] for detail in response.json()["details"]] == [name]
    response = call(alice, route, path, {})
    assert {detail["field"] for detail in response.json()["details"]} == set(route.required)
    assert call(alice, route, path, None).status_code == 400
    assert stored() == before


@routes([route for route in ROUTES if route.method in ("GET", "DELETE")])
def test_a_body_where_none_is_read_does_no_harm(route, alice):
    path = World(alice).path(route.path)
    assert call(alice, route, path, b'{"a": NaN').status_code == route.status


@routes(TAKE_FILES)
def test_a_file_may_be_anything_of_any_type(route, alice):
    path = World(alice).path(route.path)
    for content in (*NOT_AN_OBJECT.values(), *BAD_VALUES.values(), b""):
        assert call(alice, route, path, content).status_code in (200, 201)
        assert alice.get(path).getvalue() == content
    for content_type in ("", "application/json", *WRONG_TYPES):
        response = alice.client.put(f"/api/v1{path}", b"{", content_type=content_type, headers=alice.headers)
        assert (response.status_code, alice.get(path).getvalue()) == (200, b"{")


def changed(body, name, value):
    """The body with the field's value changed; a dot goes into an inner object."""
    outer, _, inner = name.partition(".")
    return body | {outer: changed(body.get(outer) or {}, inner, value) if inner else value}


@routes(WRITES)
@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_is_sent_is_answered_in_the_envelope(route, alice, data):
    assert_anything_is_answered(route, alice, data)


@routes(WRITES)
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(raw=st.binary(max_size=60))
def test_noise_is_answered_in_the_envelope(route, alice, raw):
    assert_noise_is_answered(route, alice, raw)
