"""What a check tells of a template: which steps it looks at, and what is wrong in which line."""

import pytest

from workflows_app.prompts import ITEM_NAMES, BadTemplate, check, check_expression


def test_tells_which_steps_are_looked_at_and_where_first():
    template = (
        "{{ steps.b.result }}\n{% if steps['a-1'].result %}\n{{ steps.a.result }} {{ steps.b.status }}{% endif %}"
    )
    assert check(template) == {"b": 1, "a-1": 2, "a": 3}
    assert check_expression("steps.a.result and not steps.b") == {"a": 1, "b": 1}
    assert check("no steps.a here") == check("{{ context.steps.a }}") == {}


def test_items_are_known_only_inside_a_foreach():
    check("{{ item.x }}{{ index }}", ITEM_NAMES)
    with pytest.raises(BadTemplate):
        check("{{ item.x }}")


@pytest.mark.parametrize(
    ("template", "message", "line"),
    [
        ("a\n{{ contxt.x }}", "there is no variable 'contxt': context, stepData, steps, workflow are known", 2),
        ("{{ steps }}", "steps must be followed by the id of a step", 1),
        ("{{ steps[0] }}", "steps must be followed by the id of a step", 1),
        ("\n\n{{ context.x() }}", "a call is not allowed in a template", 3),
        ("{{ 'a' ~ 'b' }}", "~ is not allowed in a template", 1),
        ("{% set a = 1 %}", "set is not allowed in a template", 1),
        (
            "{{ 1 | shell }}",
            "there is no filter 'shell': default, first, join, last, length, lower, replace, round, tojson, trim, "
            "truncate, upper are known",
            1,
        ),
        ("{{ 1 | replace(1) }}", "replace takes 2 arguments, not 1", 1),
        ("{{ 1 | join(1, 2) }}", "join takes 0 to 1 arguments, not 2", 1),
        ("{{ 1 | join(d=1) }}", "the arguments of join have no names", 1),
        ("{{ 1 is none(2) }}", "the test none takes no arguments", 1),
        ("{% for steps in context %}{% endfor %}", "steps is the name of something else", 1),
        ("{% for a, b in context %}{% endfor %}", "a loop is written {% for name in list %}", 1),
        ("{{ context.", "expected name or number", 1),
        ("{{ " + "(" * 1_000 + " }}", "it is nested more than 60 deep", None),
        ("{{ 1" + "+1" * 100 + " }}", "it is nested more than 60 deep", 1),
        ("{{ '\\0' }}", "a string holds NUL or half of a surrogate pair", 1),
    ],
)
def test_says_what_is_wrong_and_where(template, message, line):
    with pytest.raises(BadTemplate) as bad:
        check(template)
    assert (bad.value.message, bad.value.line) == (message, line)
    assert str(bad.value) == (f"{message} (line {line})" if line else message)


def test_an_expression_that_goes_on_is_refused():
    with pytest.raises(BadTemplate, match="there is more after the end of the expression"):
        check_expression("context.a context.b")
