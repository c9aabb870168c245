"""The JSON in what a model wrote."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_app.prompts import extract_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # As it should be.
        ('{"a": 1}', {"a": 1}),
        ("[]", []),
        ("[1, 2]", [1, 2]),
        ('```json\n{"tasks": [{"title": "x"}]}\n```', {"tasks": [{"title": "x"}]}),
        ('Here you are:\n\n```JSON\n["a"]\n```\nAnything else?', ["a"]),
        ('```\n{"a": 1}\n```', {"a": 1}),
        ('So: {"a": [1, {"b": null}]}. Good luck!', {"a": [1, {"b": None}]}),
        # A marked block before all else, the longest stretch before shorter ones.
        ('{"no": 1, "longer": 2}\n```json\n{"yes": 1}\n```', {"yes": 1}),
        ('```\n{"no": 1}\n```\n```json\n{"yes": 1}\n```', {"yes": 1}),
        ('First {"a": 1} and then {"a": 1, "b": 2} or {"c": 3}', {"a": 1, "b": 2}),
        ('As [1] and [2, 3] say: {"a": 1}', {"a": 1}),
        ('[as said] {not: this} {"a": 1} [nor this]', {"a": 1}),
        ('Either {"a": 1} or {"a": 2}', {"a": 1}),
        # Small slips.
        ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
        ("{'a': 'it''s'}", None),
        ("{'a': \"it's\", 'b': True, 'c': None}", {"a": "it's", "b": True, "c": None}),
        ("{title: 'x', n: -1.5e3, m: 20.05e-10}", {"title": "x", "n": -1500.0, "m": 20.05e-10}),
        ("{a: True, b: False, c: true, d: false, e: null}", {"a": True, "b": False, "c": True, "d": False, "e": None}),
        ('{"a": 1, // one\n "b": 2}', {"a": 1, "b": 2}),
        ('{"a": "two\nlines"}', {"a": "two\nlines"}),
        (r'{"a": "\_ \' \u00e9 \ud83d\ude00"}', {"a": "\\_ ' é 😀"}),
        # Out of tokens: what is complete is kept.
        (
            '```json\n{"tasks": [{"title": "one"}, {"title": "two", "desc',
            {"tasks": [{"title": "one"}, {"title": "two"}]},
        ),
        ('[{"a": 1}, {"a": 2', [{"a": 1}, {}]),
        ('["one", "two", "thr', ["one", "two"]),
        ('{"a": tr', None),
        ('{"b": 1, "a": tr', {"b": 1}),
        ('{"b": 1, "a": 12', {"b": 1}),
        ('{"b": 1, "a": no}', None),
        # Not JSON, or not for us.
        ("", None),
        ("Just words.", None),
        ("See [1] and [2].", None),
        ("{} and []", None),
        ('```python\ndata = {"a": 1}\n```', None),
        ('def f():\n    return jsonify({"a": 1})\n', None),
        ('x = {"a": 1}', None),
        ("values[0] = items['a']", None),
        ('```markdown\n# A\n```python\nprint({"a": 1})\n```\n', None),
        ('"a string"', None),
        ("12", None),
        ("{1: 2}", None),
        ("[x for x in y]", None),
        ('{"n": 1e999}', None),
        # What a database does not take.
        (r'{"a": "x\u0000y", "b": "\ud800"}', {"a": "x\ufffdy", "b": "\ufffd"}),
        ('{"n": 9007199254740993}', {"n": 9007199254740992.0}),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_finds(text, value):
    found = extract_json(text)
    assert found == value
    assert json.dumps(found) == json.dumps(value)


def test_keeps_the_order_of_keys():
    assert list(extract_json('text {"z": 1, "a": 2, "m": 3} text')) == ["z", "a", "m"]


@pytest.mark.parametrize(("depth", "found"), [(100, True), (101, False)])
def test_json_is_read_to_a_depth_of_a_hundred(depth, found):
    assert (extract_json("{a: " * depth + "1" + "}" * depth) == nested(depth)) is found


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abc", min_size=1), JSON, min_size=1, max_size=3))
def test_whatever_is_json_comes_back_as_it_was(value):
    text = json.dumps(value, indent=1)
    assert extract_json(f"Here:\n```json\n{text}\n```\nDone.") == value
    # With a comma too many it is no JSON, and read by the tolerant reader.
    assert extract_json(f"```json\n{text[:-1].rstrip()},\n}}\n```") == value


@settings(max_examples=100, deadline=None)
@given(st.text("[]{}\"':,\\/ \n1ae-`", max_size=60))
def test_whatever_a_model_says_is_read_without_an_error(text):
    json.dumps(extract_json(text), allow_nan=False).encode()
