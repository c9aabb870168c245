"""Templates as YAML."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_app.definitions import read_template
from workflows_app.yaml_form import BadYaml, from_yaml, to_yaml

TEMPLATE = """\
id: t
name: 'Yes'
steps:
- id: a
  name: A
  type: agent
  dependsOn: []
  prompt: |
    First line: {{ context.x }}
      - and another
  retries: 3
"""


def test_reads_and_writes_the_same():
    value = from_yaml(TEMPLATE)
    assert value["steps"][0]["prompt"] == "First line: {{ context.x }}\n  - and another\n"
    assert list(value["steps"][0]) == ["id", "name", "type", "dependsOn", "prompt", "retries"]
    assert to_yaml(value) == TEMPLATE
    assert read_template(value)[1] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("true", True),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("a:", {"a": None}),
        ("12", 12),
        ("-0x1F", "-0x1F"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2030-01-01", "2030-01-01"),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".05", 0.05),
        ("-10.", -10.0),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("=", "="),
        ('{"a": [1, "b"]}', {"a": [1, "b"]}),
        ("- a\n- {b: 1}\n", ["a", {"b": 1}]),
        ("a: >-\n  one\n  two\n", {"a": "one two"}),
    ],
)
def test_values_are_jsons(text, value):
    found = from_yaml(text)
    assert (found, type(found)) == (value, type(value))


BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is empty"),
        ("# nothing\n", "it is empty"),
        ("a: 1\n---\nb: 2\n", "it has more than one document"),
        ("a: &x 1\n", "anchors and aliases are not taken at line 1"),
        ("a: 1\nb: *x\n", "anchors and aliases are not taken at line 2"),
        (BOMB, "anchors and aliases are not taken at line 1"),
        ("!!python/object/apply:os.system ['true']", "tags are not taken at line 1"),
        ("a:\n  !!python/name:os.system x\n", "tags are not taken at line 2"),
        ("!!str 5", "tags are not taken at line 1"),
        ("! 5", "tags are not taken at line 1"),
        ("a: 1\nb: 2\na: 3\n", "the key 'a' stands twice in one object at line 3"),
        ("1: a", "a key is no string at line 1"),
        ("true: a", "a key is no string at line 1"),
        ("? [a]\n: b\n", "a key is no string at line 1"),
        ("[" * 101 + "]" * 101, "it is nested more than 100 deep at line 1"),
        ("{a: " * 100 + "1" + "}" * 100, "it is nested more than 100 deep at line 1"),
        ("a: 1\nb: [1\nc: 2\n", "did not find expected ',' or ']' at line 3"),
        ('"\\0"', "a string holds NUL or half of a surrogate pair"),
        ("99999999999999999", "an integer is outside ±(2^53−1)"),
        ("1e999", "Infinity is not JSON"),
        ("x" * 262_145, "it is longer than 262144 characters"),
        ("a: [1", None),
        ("a: b: c", None),
        ("\tx: 1", None),
        ("a: \x01", None),
        ("a: '\ud800'", None),
        ("%YAML 9.9\n---\na", None),
        ("@x", None),
    ],
)
def test_refuses_with_a_reason(text, message):
    with pytest.raises(BadYaml) as bad:
        from_yaml(text)
    assert message in (None, str(bad.value))
    assert str(bad.value).isprintable()


def test_what_is_just_within_the_bounds_is_taken():
    found = from_yaml("[" * 100 + "]" * 100)
    for _ in range(99):
        (found,) = found
    assert found == []
    assert from_yaml("{a: " * 99 + "1" + "}" * 99)["a"]["a"]["a"] is not None
    assert from_yaml("x" * 262_144) == "x" * 262_144


def test_is_written_for_people():
    assert to_yaml({"a": "é", "b": "1", "c": "x\ny"}) == 'a: é\nb: "1"\nc: |-\n  x\n  y\n'


@pytest.mark.parametrize(
    "text", ["[" * 250_000, "{" * 250_000, "- " * 120_000, "a: " * 80_000, "? " * 120_000, "'" * 250_001]
)
def test_hostile_documents_are_refused_soon(text):
    began = time.monotonic()
    with pytest.raises(BadYaml):
        from_yaml(text)
    assert time.monotonic() - began < 10


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "on",
        "1",
        "1e5",
        "null",
        "~",
        "a: b",
        "- x",
        "# x",
        "a\nb\n",
        " a\n b",
        "a \nb",
        "\n",
        "a\n\n\n",
        "x\r\ny",
        "\u2028",
        "'",
        '"',
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_whatever_is_json_comes_back_as_it_was(value):
    found = from_yaml(to_yaml(value))
    assert (found, repr(found)) == (value, repr(value))
