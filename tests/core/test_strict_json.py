"""Strict JSON: what is taken, what is refused and with which words, and how quickly."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster.core.strict_json import MAX_DEPTH, MAX_INTEGER, MAX_MEMBERS, JsonRefused, parse

REFUSED = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\t", "it is empty"),
    "not UTF-8": (b'"\xff"', "it is not valid UTF-8"),
    "a surrogate in UTF-8": (b'"\xed\xa0\x80"', "it is not valid UTF-8"),
    "UTF-16": ('{"a":1}'.encode("utf-16-le"), "Expecting property name enclosed in double quotes at line 1 column 2"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
    "half an object": (b'{"a":', "Expecting value at line 1 column 6"),
    "two values": (b"{} {}", "Extra data at line 1 column 4"),
    "a trailing comma": (b"[1,]", "Expecting value at line 1 column 4"),
    "single quotes": (b"{'a':1}", "Expecting property name enclosed in double quotes at line 1 column 2"),
    "an open string": (b'"a', "Unterminated string starting at line 1 column 1"),
    "a control character": (b'"a\x01"', "Invalid control character at line 1 column 3"),
    "a raw NUL": (b'"a\x00"', "Invalid control character at line 1 column 3"),
    "a raw line break": (b'"a\nb"', "Invalid control character at line 1 column 3"),
    "a bad escape": (b'"\\x"', "Invalid \\escape at line 1 column 2"),
    "a leading zero": (b"01", "Extra data at line 1 column 2"),
    "a bare plus": (b"+1", "Expecting value at line 1 column 1"),
    "NaN": (b"[NaN]", "NaN is not JSON"),
    "Infinity": (b'{"a":Infinity}', "Infinity is not JSON"),
    "-Infinity": (b"-Infinity", "-Infinity is not JSON"),
    "a float overflow": (b"[1e400]", "a number is too large"),
    "a negative float overflow": (b"-1e400", "a number is too large"),
    "an integer too large": (b'{"a":9007199254740992}', "an integer is outside ±(2^53−1)"),
    "an integer too small": (b"-9007199254740992", "an integer is outside ±(2^53−1)"),
    "a deep duplicate": (b'[{"a":[{"x":1,"b":2,"b":3}]}]', "the key 'b' stands twice in one object"),
    "a duplicate by escape": (b'{"b":1,"\\u0062":2}', "the key 'b' stands twice in one object"),
    "a NUL": (b'{"a":["x\\u0000"]}', "a string holds NUL or half of a surrogate pair"),
    "a NUL in a key": (b'[{"\\u0000":1}]', "a string holds NUL or half of a surrogate pair"),
    "a high surrogate": (b'"\\ud800"', "a string holds NUL or half of a surrogate pair"),
    "a low surrogate": (b'"\\uDFFF"', "a string holds NUL or half of a surrogate pair"),
    "a surrogate in a key": (b'[[{"a\\uD83d":1}]]', "a string holds NUL or half of a surrogate pair"),
    "a swapped pair": (b'"\\ude00\\ud83d"', "a string holds NUL or half of a surrogate pair"),
}


def refusal(raw: bytes) -> str:
    with pytest.raises(JsonRefused) as refused:
        parse(raw)
    return str(refused.value)


@pytest.mark.parametrize(("raw", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_a_message(raw: bytes, message: str) -> None:
    assert refusal(raw) == message


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b' {"a" : [1, -2.5, true, null]} \n', {"a": [1, -2.5, True, None]}),
        (b"1E5", 100_000.0),
        (b"-0", 0),
        (b"-0.0", -0.0),
        (b"1e-400", 0.0),
        (b"9007199254740991", MAX_INTEGER),
        (b"-9007199254740991", -MAX_INTEGER),
        (b'"\\ud83d\\ude00 \\u00e9"', "\U0001f600 é"),
        ('"é\U0001f600"'.encode(), "é\U0001f600"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\x7f"', "\x7f"),
        (b'{"":{"":1}}', {"": {"": 1}}),
        (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    ],
)
def test_takes_what_is_json(raw: bytes, value: Any) -> None:
    parsed = parse(raw)
    assert (parsed, type(parsed), repr(parsed)) == (value, type(value), repr(value))


def test_keeps_the_order_of_keys() -> None:
    assert list(parse(b'{"z":1,"a":2,"m":3}')) == ["z", "a", "m"]


def test_a_long_duplicate_key_is_named_in_part() -> None:
    key = b'"' + b"k" * 10_000 + b'"'
    assert refusal(b"{" + key + b":1," + key + b":2}") == f"the key '{'k' * 64}' stands twice in one object"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_depth_ends_at_the_limit(opening: bytes, closing: bytes) -> None:
    deepest = opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH
    assert parse(deepest) == json.loads(deepest)
    assert parse(b"[" + deepest[len(opening) : -1] + b"," + deepest[len(opening) : -1] + b"]")
    assert refusal(b"[" + deepest + b"]") == "it is nested more than 100 deep"


def test_brackets_and_colons_in_strings_are_no_structure() -> None:
    text = "[{:" * MAX_MEMBERS + '"\\"[' + "{" * 200
    assert parse(json.dumps({text: [text]}).encode()) == {text: [text]}


def test_a_deep_value_behind_brackets_in_strings_is_found() -> None:
    assert refusal(b'["]]]]]]]]\\"]]]]",' + b"[" * 100 + b"1" + b"]" * 101) == "it is nested more than 100 deep"


def test_members_are_counted_over_all_objects() -> None:
    half = json.dumps({f":{n}": n for n in range(MAX_MEMBERS // 2)})
    assert len(parse(f"[{half},{half}]".encode())) == 2
    assert refusal(f'[{half},{half},{{"a":1}}]'.encode()) == "it has more than 50000 members"


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 1_000_000,
        b"-" + b"1" * 1_000_000 + b".",
        # A naive search for strings would start anew at every quote of these.
        b"[" * 101 + b'"' + b'\\"' * 500_000,
        b"[" * 90 + b'"' * 500_001 + b"[" * 90,
        b"[" * 90 + b"\\" * 500_000 + b"[" * 90,
        b"[" + b'{"a":1},' * 100_000 + b"]",
    ],
    ids=["lists", "objects", "digits", "more digits", "escaped quotes", "quotes", "backslashes", "members"],
)
def test_refuses_hostile_bodies_quickly(raw: bytes) -> None:
    started = time.process_time()
    refusal(raw)
    # They take milliseconds; the bound only tells that from the minutes of a quadratic search.
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    ("raw", "length"),
    [
        (b"[" + b"0," * 499_999 + b"0]", 500_000),
        (b"[" + b"[]," * 333_332 + b"[]]", 333_333),
        (b'"' + b"\\\\" * 500_000 + b'"', 500_000),
        (b'"' + b'\\"' * 500_000 + b'"', 500_000),
        (b'["' + b"[" * 1_000_000 + b'"]', 1),
        (b'["' + b"\\u0041" * 160_000 + b'"]', 1),
        (b"[0." + b"1" * 1_000_000 + b"]", 1),
    ],
    ids=["numbers", "lists", "backslashes", "quotes", "brackets in a string", "escapes", "digits"],
)
def test_takes_large_bodies_quickly(raw: bytes, length: int) -> None:
    """What a list may hold is bounded by the size of the body alone."""
    started = time.process_time()
    assert len(parse(raw)) == length
    assert time.process_time() - started < 5


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(leaves | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(value=values, ascii_only=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_takes_whatever_json_dumps_makes(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert repr(parse(text.encode())) == repr(value)


@given(st.binary() | st.text(alphabet='[]{}",:\\u0d89eE+-.1 \n', max_size=40).map(str.encode))
def test_raises_nothing_but_its_own_error(raw: bytes) -> None:
    try:
        value = parse(raw)
    except JsonRefused:
        return
    assert repr(value) == repr(json.loads(raw))
