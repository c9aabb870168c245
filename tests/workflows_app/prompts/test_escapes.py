"""Nothing in a template can run code in the server, look at anything but its data, or take long."""

import builtins
import time

import pytest
from jinja2 import nodes

from workflows_app.prompts import BadTemplate, check, check_expression, evaluate, extract_json, render, render_json
from workflows_app.prompts.allowance import Allowance
from workflows_app.prompts.evaluation import Evaluation


class Trap:
    """Something of Python's among the data, which should never be there."""

    secret = "LEAKED"

    def method(self):
        raise AssertionError("called")


VARIABLES = {
    "context": {"x": "text", "n": 1, "list": [1, 2], "d": {"a": 1}},
    "steps": {"a": {"result": {"content": "done"}}},
    "stepData": {},
    "workflow": {"id": "w", "name": "n"},
}

# Paths of Python's own: each is a key that is not there, and so nothing.
DUNDERS = [
    "''.__class__",
    "''.__class__.__mro__[1].__subclasses__",
    "context.__class__",
    "context.__class__.__base__",
    "context.__init__.__globals__",
    "context['__class__']",
    "context.list.__class__.__bases__[0]",
    "context.n.__class__",
    "context.n.real",
    "context.x.upper",
    "context.x.format",
    "context.d.items",
    "context.d.get",
    "context.list.append",
    "(1).__class__",
    "[].__class__",
    "{}.__class__",
    "none.__class__",
    "workflow.__dict__",
]

REFUSED = {
    "a call": "{{ context.x() }}",
    "a method": "{{ context.x.upper() }}",
    "a method of a literal": "{{ 'x'.join(['a']) }}",
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a format string": "{{ '{0.__class__}'.format(context) }}",
    "format_map": "{{ '{x.__class__}'.format_map(context) }}",
    "the format filter": "{{ '%s' | format(context) }}",
    "the attr filter": "{{ context | attr('__class__') }}",
    "the map filter": "{{ context.list | map('__class__') }}",
    "the map filter's attribute": "{{ context.list | map(attribute='__class__') | list }}",
    "the select filter": "{{ context.list | selectattr('__class__') }}",
    "the groupby filter": "{{ context.list | groupby('__class__') }}",
    "the xmlattr filter": "{{ context.d | xmlattr }}",
    "the pprint filter": "{{ context | pprint }}",
    "the safe filter": "{{ context.x | safe }}",
    "a filter block": "{% filter upper %}x{% endfilter %}",
    "a global function": "{{ range(10) }}",
    "the lipsum global": "{{ lipsum.__globals__ }}",
    "the cycler global": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "the joiner global": "{{ joiner() }}",
    "the namespace global": "{{ namespace() }}",
    "the dict global": "{{ dict(a=1) }}",
    "self": "{{ self._TemplateReference__context }}",
    "self alone": "{{ self }}",
    "varargs": "{{ varargs }}",
    "caller": "{{ caller() }}",
    "the environment": "{{ environment }}",
    "request": "{{ request.application }}",
    "config": "{{ config }}",
    "settings": "{{ settings.SECRET_KEY }}",
    "builtins": "{{ __builtins__ }}",
    "import": "{{ __import__('os') }}",
    "set": "{% set x = 1 %}",
    "set of a block": "{% set x %}y{% endset %}",
    "a macro": "{% macro m() %}{% endmacro %}",
    "a call block": "{% call context.x() %}{% endcall %}",
    "include": "{% include '/etc/passwd' %}",
    "include of a variable": "{% include context.x %}",
    "import of a template": "{% import 'x' as y %}",
    "from": "{% from 'x' import y %}",
    "extends": "{% extends 'x' %}",
    "a block": "{% block b %}{% endblock %}",
    "with": "{% with a = 1 %}{% endwith %}",
    "autoescape": "{% autoescape true %}{% endautoescape %}",
    "do": "{% do context.list.append(1) %}",
    "debug": "{% debug %}",
    "trans": "{% trans %}x{% endtrans %}",
    "break": "{% for a in context.list %}{% break %}{% endfor %}",
    "a power": "{{ 9 ** 9 ** 9 }}",
    "a concatenation": "{{ 'a' ~ 'b' }}",
    "a floor division": "{{ 1 // 2 }}",
    "a slice": "{{ context.list[0:1] }}",
    "a step of a slice": "{{ context.x[::-1] }}",
    "a loop with a condition": "{% for a in context.list if a %}{% endfor %}",
    "a recursive loop": "{% for a in context.list recursive %}{{ loop([]) }}{% endfor %}",
    "a loop over pairs": "{% for a, b in context.list %}{% endfor %}",
    "a loop into an attribute": "{% for context.x in context.list %}{% endfor %}",
    "a loop that hides a variable": "{% for steps in context.list %}{% endfor %}",
    "a loop named loop": "{% for loop in context.list %}{% endfor %}",
    "all steps": "{{ steps }}",
    "all steps as JSON": "{{ steps | tojson }}",
    "a step by a variable": "{{ steps[context.x] }}",
    "a test with arguments": "{{ 4 is divisibleby(2) }}",
    "a test with named arguments": "{{ 4 is none(x=1) }}",
    "a test with unpacked arguments": "{{ 4 is none(*context.list) }}",
    "a callable test": "{{ context.x is callable }}",
    "a test of filters": "{{ 'attr' is filter }}",
    "a filter without its arguments": "{{ context.x | replace('a') }}",
    "a filter with too many": "{{ context.x | upper(1) }}",
    "a filter with named arguments": "{{ context.x | truncate(length=3) }}",
    "a filter with unpacked arguments": "{{ context.x | truncate(*context.list) }}",
    "NUL": "{{ '\\0' }}",
    "NUL in hexadecimal": "{{ '\\x00' }}",
    "half a surrogate pair": "{{ '\\ud800' }}",
    "infinity": "{{ 1e999 }}",
    "an integer too large": "{{ 9007199254740992 }}",
    "an integer of thousands of digits": "{{ " + "9" * 5_000 + " }}",
    "an open tag": "{{ context",
    "an open block": "{% if context %}",
    "an unknown tag": "{% foo %}",
    "an end without a beginning": "{% endif %}",
    "nothing inside": "{{ }}",
}


@pytest.mark.parametrize("path", DUNDERS)
def test_pythons_attributes_are_not_there(path):
    assert render("<{{ " + path + " }}>", VARIABLES) == "<>"
    assert evaluate(path, VARIABLES) is None


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_refused_when_checked_and_when_rendered(template):
    with pytest.raises(BadTemplate):
        check(template)
    with pytest.raises(BadTemplate):
        render(template, VARIABLES)


@pytest.mark.parametrize(
    "expression",
    [
        "context.x() ",
        "context }} {{ context",
        "context }}{% set a = 1 %}{{ 1",
        "context %}",
        "context; 1",
        "context\nimport os",
        "lambda: 1",
        "[x for x in context.list]",
        "x := 1",
        "context, steps.a",
        "",
        "{{ }}",
        "{{ context }} {{ context }}",
        "{% if context %}1{% endif %}",
    ],
)
def test_expressions_are_one_expression_and_no_more(expression):
    for attempt in (lambda: check_expression(expression), lambda: evaluate(expression, VARIABLES)):
        with pytest.raises(BadTemplate):
            attempt()


def test_an_object_of_pythons_gives_nothing_away():
    variables = {"context": {"trap": Trap()}}
    assert render("{{ context.trap.secret }}{{ context.trap.method }}{{ context.trap.__dict__ }}", variables) == ""
    with pytest.raises(BadTemplate, match="a value cannot be written as JSON"):
        render("{{ context.trap }}", variables)
    with pytest.raises(BadTemplate):
        render("{{ context.trap.method() }}", variables)


def test_a_percent_sign_formats_nothing():
    with pytest.raises(BadTemplate, match="a number is needed, not a string"):
        render("{{ '%s' % context }}", VARIABLES)


def test_data_that_looks_like_a_template_stays_data():
    variables = {"context": {"x": "{{ steps.a }}{% set a = 1 %}", "__class__": "a key like any other"}}
    assert render("{{ context.x }}", variables) == "{{ steps.a }}{% set a = 1 %}"
    assert render("{{ context.__class__ }}", variables) == "a key like any other"


def test_nothing_is_compiled(monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError("a template was compiled")

    for name in ("compile", "exec", "eval"):
        monkeypatch.setattr(builtins, name, refused)
    template = "{% for a in context.list %}{{ a | round }}{% endfor %}{{ 1 if context.n == 1 }}"
    assert render(template, VARIABLES) == "121"
    with pytest.raises(BadTemplate):
        render("{{ context.", VARIABLES)


def test_what_the_check_lets_through_by_mistake_is_still_not_done():
    evaluation = Evaluation(VARIABLES, Allowance())
    for forbidden in (
        nodes.Call(nodes.Name("x", "load"), [], [], None, None),
        nodes.Concat([]),
        nodes.Slice(None, None, None),
    ):
        with pytest.raises(BadTemplate, match="is not allowed in a template"):
            evaluation.value(forbidden)


# -- Bounds


def deep(count):
    found = []
    for _ in range(count):
        found = [found]
    return found


LONG = 250_000
COSTLY = {
    "opened tags": "{{" * (LONG // 2),
    "opened brackets": "{{ " + "(" * LONG,
    "opened lists": "{{ " + "[" * LONG,
    "nots": "{{ " + "not " * (LONG // 4) + "1 }}",
    "minuses": "{{ " + "-" * LONG + "1 }}",
    "members": "{{ context" + ".b" * (LONG // 2) + " }}",
    "ands": "{{ 1" + " and 1" * (LONG // 6) + " }}",
    "sums": "{{ 1" + "+1" * (LONG // 2) + " }}",
    "ifs": "{% if 1 %}" * (LONG // 10),
    "nested ifs": "{% if 1 %}" * 100 + "{% endif %}" * 100,
    "comments": "{#" * (LONG // 2),
    "raws": "{% raw %}" * (LONG // 9),
    "braces": "{" * LONG,
    "backslashes": "{{ '" + "\\" * LONG,
    "too long": "{{ 1 }}" + " " * 270_000,
}


@pytest.mark.parametrize("template", COSTLY.values(), ids=COSTLY)
def test_hostile_templates_are_refused_soon(template):
    began = time.monotonic()
    with pytest.raises(BadTemplate):
        check(template)
    assert time.monotonic() - began < 10


BIG = {"context": {"big": ["x" * 100] * 2_000, "text": "x" * 200_000, "n": list(range(1_000))}}
EXPENSIVE = {
    "nested loops": "{% for a in context.n %}{% for b in context.n %}{% for c in context.n %}" + "{% endfor %}" * 3,
    "JSON in a loop": "{% for a in context.n %}{{ context.big | tojson | length }}{% endfor %}",
    "joins in a loop": "{% for a in context.n %}{{ context.big | join | length }}{% endfor %}",
    "comparisons in a loop": "{% for a in context.n %}{{ context.big == context.big }}{% endfor %}",
    "searches in a loop": "{% for a in context.n %}{{ 'y' in context.big }}{% endfor %}",
    "searches of a text in a loop": "{% for a in context.n %}{{ 'y' in context.text }}{% endfor %}",
    "upper in a loop": "{% for a in context.n %}{{ context.text | upper | length }}{% endfor %}",
    "output in a loop": "{% for a in context.n %}{{ context.text }}{% endfor %}",
    "plain output in a loop": "{% for a in context.n %}" + "x" * 1_000 + "{% endfor %}",
    "a replacement that grows": "{{ context.text | replace('x', context.text) }}",
    "a join that grows": "{{ context.n | join(context.text) }}",
}


@pytest.mark.parametrize("template", EXPENSIVE.values(), ids=EXPENSIVE)
def test_hostile_renderings_end_soon(template):
    check(template)
    began = time.monotonic()
    with pytest.raises(BadTemplate, match=r"takes more than 100000 steps|longer than"):
        render(template, BIG)
    assert time.monotonic() - began < 10


def test_what_is_rendered_is_at_most_256_kilobytes():
    exact = {"context": {"x": "é" * 131_072}}
    assert len(render("{{ context.x }}", exact).encode()) == 262_144
    with pytest.raises(BadTemplate, match="what it says is longer than 256 KB"):
        render("{{ context.x }}!", exact)


def test_what_a_loop_may_do_is_counted_exactly():
    # Each turn of an empty loop is a step; so are the loop itself, its list's name and the member of it.
    turns = {"context": {"n": [0] * (100_000 - 3)}}
    assert render("{% for a in context.n %}{% endfor %}", turns) == ""
    turns["context"]["n"].append(0)
    with pytest.raises(BadTemplate, match="it takes more than 100000 steps"):
        render("{% for a in context.n %}{% endfor %}", turns)


def test_a_text_within_a_template_is_bounded_too():
    texts = {"context": {"x": "x" * 262_144}}
    assert render("{{ context.x | upper | length }}", texts) == "262144"
    assert render("{{ context.x | replace('x', 'y') | length }}", texts) == "262144"
    texts["context"]["x"] += "x"
    for made in ("upper", "replace('x', 'y')"):
        with pytest.raises(BadTemplate, match="a text is longer than 262144 characters"):
            render("{{ context.x | " + made + " | length }}", texts)


def test_rendered_json_is_bounded_as_a_whole():
    variables = {"context": {"x": "x" * 1_000, "big": ["x" * 1_000]}}
    assert len(render_json(["{{ context.x }}"] * 200, variables)) == 200
    for template in ("{{ context.x }}!", "{{ context.x }}", "{{ context.big }}"):
        with pytest.raises(BadTemplate):
            render_json([template] * 300, variables)


def test_data_that_is_nested_too_deep_is_an_error():
    with pytest.raises(BadTemplate):
        render("{{ context.x }}", {"context": {"x": deep(2_000)}})
    with pytest.raises(BadTemplate):
        evaluate("context.x == context.y", {"context": {"x": deep(2_000), "y": deep(2_000)}})


@pytest.mark.parametrize(
    "text",
    [
        "[" * LONG,
        "{" * LONG,
        '["' * (LONG // 2),
        '{"a":' * (LONG // 5),
        "[1 " * (LONG // 3),
        "[" + "[]," * (LONG // 3) + "x",
        "[" + " " * LONG + "x",
        "[" + "//\n" * (LONG // 3),
        '["' + "\\" * LONG,
        "```json\n" * (LONG // 8),
    ],
)
def test_hostile_answers_of_a_model_are_read_soon(text):
    began = time.monotonic()
    extract_json(text)
    assert time.monotonic() - began < 10
