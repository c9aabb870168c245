"""Renders templates and evaluates expressions over the variables of a workflow."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .allowance import Allowance
from .errors import BadTemplate
from .evaluation import Evaluation
from .grammar import check, check_expression
from .parsing import is_plain, parse_expression, parse_template
from .values import as_json, to_json

Variables = Mapping[str, Any]
_Made = TypeVar("_Made")


def render(template: str, variables: Variables) -> str:
    """The template's text, at most 256 KB; what is missing leaves nothing. Raises BadTemplate."""
    return _text(template, variables, Allowance())


def evaluate(expression: str, variables: Variables) -> Any:
    """The expression's value, as JSON; a missing path is None, and so false. Raises BadTemplate."""
    return _value(expression, variables, Allowance())


def render_json(value: Any, variables: Variables) -> Any:
    """JSON with its strings rendered; one that is nothing but `{{ … }}` becomes the value. Raises BadTemplate.

    What was rendered is at most 256 KB, all of it together.
    """
    return _filled(value, variables, Allowance())


def is_one_expression(template: str) -> bool:
    """Whether a template is `{{ … }}` and nothing else."""
    bare = template.strip()
    return bare.startswith("{{") and bare.endswith("}}") and "{{" not in bare[2:] and "}}" not in bare[:-2]


def _text(template: str, variables: Variables, allowance: Allowance) -> str:
    if is_plain(template):
        return template
    check(template, frozenset(variables))
    tree = parse_template(template)
    return _run(Evaluation(variables, allowance), lambda evaluation: evaluation.text(tree))


def _value(expression: str, variables: Variables, allowance: Allowance) -> Any:
    check_expression(expression, frozenset(variables))
    tree = parse_expression(expression)
    return as_json(_run(Evaluation(variables, allowance), lambda evaluation: evaluation.value(tree)))


def _filled(value: Any, variables: Variables, allowance: Allowance) -> Any:
    if isinstance(value, str) and is_one_expression(value):
        found = _value(value, variables, allowance)
        allowance.written(to_json(found))
        return found
    if isinstance(value, str):
        return _text(value, variables, allowance)
    if isinstance(value, list):
        return [_filled(item, variables, allowance) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, variables, allowance) for key, item in value.items()}
    return value


def _run(evaluation: Evaluation, work: Callable[[Evaluation], _Made]) -> _Made:
    try:
        return work(evaluation)
    except BadTemplate as bad:
        raise BadTemplate(bad.message, bad.line or evaluation.line) from None
    except RecursionError:
        raise BadTemplate("a value is nested too deep", evaluation.line) from None
