"""Renders templates and evaluates expressions over the variables of a workflow."""

from collections.abc import Callable, Mapping
from typing import Any

from .errors import BadTemplate
from .evaluation import Evaluation
from .grammar import check, check_expression
from .parsing import is_plain, parse_expression, parse_template
from .values import as_json

Variables = Mapping[str, Any]


def render(template: str, variables: Variables) -> str:
    """The template's text, at most 256 KB; what is missing leaves nothing. Raises BadTemplate."""
    if is_plain(template):
        return template
    check(template, frozenset(variables))
    return _run(variables, lambda evaluation: evaluation.text(parse_template(template)))


def evaluate(expression: str, variables: Variables) -> Any:
    """The expression's value, as JSON; a missing path is None, and so false. Raises BadTemplate."""
    check_expression(expression, frozenset(variables))
    return _run(variables, lambda evaluation: as_json(evaluation.value(parse_expression(expression))))


def render_json(value: Any, variables: Variables) -> Any:
    """JSON with its strings rendered; one that is nothing but `{{ … }}` becomes the value. Raises BadTemplate."""
    if isinstance(value, str):
        return evaluate(value, variables) if is_one_expression(value) else render(value, variables)
    if isinstance(value, list):
        return [render_json(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: render_json(item, variables) for key, item in value.items()}
    return value


def is_one_expression(template: str) -> bool:
    """Whether a template is `{{ … }}` and nothing else."""
    bare = template.strip()
    return bare.startswith("{{") and bare.endswith("}}") and "{{" not in bare[2:] and "}}" not in bare[:-2]


def _run(variables: Variables, work: Callable[[Evaluation], Any]) -> Any:
    evaluation = Evaluation(variables)
    try:
        return work(evaluation)
    except BadTemplate as bad:
        raise BadTemplate(bad.message, bad.line or evaluation.line) from None
    except RecursionError:
        raise BadTemplate("a value is nested too deep", evaluation.line) from None
