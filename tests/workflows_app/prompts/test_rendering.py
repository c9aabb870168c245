"""What templates and expressions come to."""

from collections.abc import Mapping

import pytest

from workflows_app.prompts import BadTemplate, evaluate, render, render_json

VARIABLES = {
    "context": {
        "name": "Ada",
        "items": ["a", "b"],
        "values": "the key, not the method",
        "n": 3,
        "price": 2.5,
        "none": None,
        "yes": True,
        "deep": {"list": [{"title": "first"}, {"title": "last"}]},
        "héllo": "wörld 😀",
    },
    "steps": {"a": {"result": {"content": "done", "ok": True, "count": 5}}, "my-step": {"result": "x"}},
    "stepData": {"a": {"note": "careful"}},
    "workflow": {"id": "workflow_1", "name": "Run"},
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain } text {", "plain } text {"),
        ("{{ context.name }}, {{ workflow.name }}", "Ada, Run"),
        ("{{ steps.a.result.content }}/{{ steps['my-step'].result }}", "done/x"),
        ("{{ stepData.a.note }}", "careful"),
        # Keys before Python's methods of the same name, and nothing where there is no key.
        ("{{ context.items }}|{{ context.values }}|{{ context.keys }}", '["a","b"]|the key, not the method|'),
        ("{{ context['name'] }}{{ context.deep.list[0].title }}{{ context.deep.list.1.title }}", "Adafirstlast"),
        ("{{ context.deep.list[-1].title }}{{ context.items[9] }}{{ context.items['0'] }}", "last"),
        # What is missing, at any depth, and null leave nothing.
        ("<{{ context.nothing }}{{ context.no.such.path[3] }}{{ context.none }}{{ steps.z.result }}>", "<>"),
        # The rest is written as JSON.
        ("{{ context.yes }} {{ context.n }} {{ context.price }} {{ context.deep }}", None),
        ("{{ context.héllo }}{{ context['héllo'] }}", None),
        ("{# a comment #}a{% raw %}{{ b }}{% endraw %}", "a{{ b }}"),
        ("{% if context.n > 2 %}many{% elif context.n %}few{% else %}none{% endif %}", "many"),
        ("{% if context.n > 5 %}many{% elif context.n %}few{% else %}none{% endif %}", "few"),
        ("{{ 'a' if context.none else 'b' }}{{ 'c' if context.none }}", "b"),
        ("{{ context.none or context.name }} {{ context.yes and 1 }} {{ not context.yes }}", "Ada 1 false"),
        ("{% for i in context.items %}{{ loop.index }}{{ i }}{{ ',' if not loop.last }}{% endfor %}", "1a,2b"),
        ("{% for k in context.deep %}{{ k }}{% endfor %}", "list"),
        ("{% for i in context.none %}x{% else %}empty{% endfor %}", "empty"),
        ("{% for a in context.items %}{% for b in context.items %}{{ a }}{{ b }} {% endfor %}{% endfor %}", None),
        ("{{ context.n + 1 }} {{ context.n * 2 - 1 }} {{ 7 / 2 }} {{ 7 % 4 }} {{ -context.n }}", "4 5 3.5 3 -3"),
        ("{{ [1, 'x', context.nothing] }} {{ {'k': context.n} }} {{ (1, 2) }}", '[1,"x",null] {"k":3} [1,2]'),
        ("one\n{% if true %}\n  two\n{% endif %}\nthree\n", "one\n  two\nthree\n"),
        ("one\n  {% if true %}\n  two\n  {% endif %}\nthree", "one\n  two\nthree"),
        ("{{ '<b>&' }}", "<b>&"),
        ("a\r\nb {{ context.n }}", "a\nb 3"),
    ],
)
def test_renders(template, text):
    others = {
        "{{ context.yes }} {{ context.n }} {{ context.price }} {{ context.deep }}": (
            'true 3 2.5 {"list":[{"title":"first"},{"title":"last"}]}'
        ),
        "{{ context.héllo }}{{ context['héllo'] }}": "wörld 😀wörld 😀",
    }
    assert render(template, VARIABLES) == (others.get(template, "aa ab ba bb ") if text is None else text)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.a.result.ok", True),
        ("steps.a.result.count > 3", True),
        ("1 < steps.a.result.count <= 5", True),
        ("1 < steps.a.result.count < 5", False),
        # A missing path is nothing, and nothing is neither more nor less.
        ("steps.a.result.missing", None),
        ("steps.z.result.missing.deeper", None),
        ("steps.a.result.missing > 3", False),
        ("steps.a.result.missing <= 3", False),
        ("not steps.a.result.missing", True),
        ("steps.a.result.missing == none", True),
        ("context.none == steps.a.result.missing", True),
        ("steps.a.result.missing != 'x'", True),
        ("'x' in steps.a.result.missing", False),
        ("steps.a.result.missing in 'x'", False),
        ("context.nothing is defined", False),
        ("context.none is defined", True),
        ("context.none is none and context.nothing is none", True),
        ("context.items is sequence and context.deep is mapping and context.n is number", True),
        ("context.yes is number", False),
        # JSON's kinds.
        ("1 == true", False),
        ("1 == 1.0", True),
        ("'1' == 1", False),
        ("context.items == ['a', 'b']", True),
        ("context.items == ['b', 'a']", False),
        ("{'a': [1, none]} == {'a': [1.0, context.nothing]}", True),
        ("{'a': 1} == {'a': 2}", False),
        ("{'a': 1} == {'b': 1}", False),
        ("{'a': none} == {'b': none}", False),
        ("{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", True),
        ("{'a': 1, 'b': 2} == {'a': 1, 'b': 3}", False),
        ("{'a': 1} == {'a': 1, 'b': 2}", False),
        ("{} == []", False),
        ("[] == {}", False),
        ("[1] == 1", False),
        ("1 == {'a': 1}", False),
        ("[1] == [1, 2]", False),
        ("true in [1]", False),
        ("'a' in context.items", True),
        ("'c' not in context.items", True),
        ("'name' in context", True),
        ("'Ad' in context.name", True),
        ("'b' > 'a'", True),
        ("2 > 2", False),
        ("2 >= 2", True),
        ("2 < 2", False),
        ("2 <= 2", True),
        ("{'a': {'b': 1}}", {"a": {"b": 1}}),
        # Habit.
        ("{{ steps.a.result.count }}", 5),
        ("  context.deep.list  ", [{"title": "first"}, {"title": "last"}]),
    ],
)
def test_evaluates(expression, value):
    found = evaluate(expression, VARIABLES)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("context.nothing | default('x')", "x"),
        ("context.none | default('x')", "x"),
        ("context.yes | default('x')", True),
        ("0 | default('x')", 0),
        ("0 | default('x', true)", "x"),
        ("context.nothing | default", ""),
        ("context.nothing | default(context.none) | default(workflow.id)", "workflow_1"),
        ("context.deep | tojson", '{"list":[{"title":"first"},{"title":"last"}]}'),
        ("context.nothing | tojson", "null"),
        ("'é' | tojson", '"é"'),
        ("context.items | join(', ')", "a, b"),
        ("[1, {'a': 2}, none] | join('-')", '1-{"a":2}-'),
        ("context.nothing | join", ""),
        ("context.items | length", 2),
        ("'😀é' | length", 2),
        ("context.deep | length", 1),
        ("context.nothing | length", 0),
        ("context.name | upper", "ADA"),
        ("context.name | lower", "ada"),
        ("'  x ' | trim", "x"),
        ("'abcdef' | truncate(4)", "abc…"),
        ("'abcd' | truncate(4)", "abcd"),
        ("context.items | first", "a"),
        ("context.items | last", "b"),
        ("[] | first", None),
        ("'a-b-c' | replace('-', '+')", "a+b+c"),
        ("'abc' | replace('', 'x')", "abc"),
        ("2.6 | round", 3),
        ("2.345 | round(1)", 2.3),
    ],
)
def test_filters(expression, value):
    found = evaluate(expression, VARIABLES)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("context.name > 3", "a string and a number have no order (line 1)"),
        ("context.yes > 0", "a boolean and a number have no order (line 1)"),
        ("'x' + 'y'", "a number is needed, not a string (line 1)"),
        ("'x' * 1000000", "a number is needed, not a string (line 1)"),
        ("context.nothing + 1", "a number is needed, not nothing (line 1)"),
        ("-context.name", "a number is needed, not a string (line 1)"),
        ("1 / 0", "a division by zero (line 1)"),
        ("1 % 0", "a division by zero (line 1)"),
        ("9007199254740991 + 1", "a number is too large (line 1)"),
        ("1e308 * 10", "a number is too large (line 1)"),
        ("3 in context.name", "a number cannot be in a string (line 1)"),
        ("3 in 4", "a number cannot be in a number (line 1)"),
        ("context.name | join", "join needs a list, not a string (line 1)"),
        ("context.n | first", "first needs a list, not a number (line 1)"),
        ("context.n | length", "a number has no length (line 1)"),
        ("context.name | round", "a number is needed, not a string (line 1)"),
    ],
)
def test_says_what_cannot_be(expression, message):
    with pytest.raises(BadTemplate) as bad:
        evaluate(expression, VARIABLES)
    assert str(bad.value) == message


def test_an_error_names_its_line():
    with pytest.raises(BadTemplate) as bad:
        render("one\ntwo {{ context.n }}\nthree {{ context.name + 1 }}\n", VARIABLES)
    assert (bad.value.message, bad.value.line) == ("a number is needed, not a string", 3)


def test_a_loop_over_what_is_no_list_is_an_error():
    with pytest.raises(BadTemplate, match="a loop needs a list, not a string"):
        render("{% for a in context.name %}{{ a }}{% endfor %}", VARIABLES)


def test_a_loops_names_end_with_it():
    with pytest.raises(BadTemplate, match="there is no variable 'i'"):
        render("{% for i in context.items %}{% endfor %}{{ i }}", VARIABLES)
    text = render("{% for i in [1] %}{% for j in [2] %}{{ loop.length }}{% endfor %}{{ loop.first }}{% endfor %}", {})
    assert text == "1true"


def test_items_of_a_foreach_are_variables_where_they_are_given():
    assert render("{{ index }}: {{ item.name }}", {"item": {"name": "x"}, "index": 4}) == "4: x"
    with pytest.raises(BadTemplate, match="there is no variable 'item'"):
        render("{{ item }}", VARIABLES)


def test_steps_are_looked_up_only_when_they_are_asked_for():
    class Lazy(Mapping):
        asked = []

        def __getitem__(self, key):
            self.asked.append(key)
            if key == "z":
                raise KeyError(key)
            return {"result": key.upper()}

        def __iter__(self):
            raise AssertionError("all of them were asked for")

        __len__ = __iter__

    steps = Lazy()
    assert render("{{ steps.a.result }}{{ steps['b'].result }}{{ steps.z.result }}", {"steps": steps}) == "AB"
    assert steps.asked == ["a", "b", "z"]


def test_json_is_rendered_string_by_string():
    body = {
        "title": "For {{ context.name }}",
        "list": ["{{ context.items }}", 1, None, "x"],
        "deep": {"n": "{{ context.n }}", "two": "{{ context.n }}{{ context.n }}", "gone": "{{ context.nothing }}"},
        "{{ context.name }}": True,
    }
    assert render_json(body, VARIABLES) == {
        "title": "For Ada",
        "list": [["a", "b"], 1, None, "x"],
        "deep": {"n": 3, "two": "33", "gone": None},
        "{{ context.name }}": True,
    }
    assert list(render_json(body, VARIABLES)) == list(body)


def test_what_is_given_is_not_changed():
    before = repr(VARIABLES)
    render("{% for context2 in context.items %}{{ context2 }}{% endfor %}{{ context.deep.list | last }}", VARIABLES)
    assert repr(VARIABLES) == before
