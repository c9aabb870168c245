"""How values compare: by JSON's kinds, not by Python's. true is not 1, and nothing is neither more nor less."""

from collections.abc import Callable, Mapping
from typing import Any

from .allowance import CHARACTERS_A_STEP, Allowance
from .errors import BadTemplate
from .values import MISSING, as_json, is_absent, is_number, kind


def compare(operator: str, left: Any, right: Any, allowance: Allowance) -> bool:
    """Whether `left operator right`, with Jinja2's names of operators. Raises BadTemplate."""
    if operator in ("eq", "ne"):
        return same(left, right, allowance) == (operator == "eq")
    if operator in ("in", "notin"):
        return holds(right, left, allowance) == (operator == "in")
    return _is_ordered(operator, left, right)


def same(left: Any, right: Any, allowance: Allowance) -> bool:
    """Whether both are the same JSON; what is missing is the same as null."""
    allowance.spend()
    left, right = as_json(left), as_json(right)
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, str) and isinstance(right, str):
        allowance.spend(min(len(left), len(right)) // CHARACTERS_A_STEP)
        return left == right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b, allowance) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(
            key in right and same(value, right[key], allowance) for key, value in left.items()
        )
    return type(left) is type(right) and left == right


def holds(container: Any, item: Any, allowance: Allowance) -> bool:
    """Whether the list has the item, the object the key, or the text the piece. Raises BadTemplate."""
    if is_absent(container):
        return False
    if isinstance(container, list):
        return any(same(item, other, allowance) for other in container)
    if is_absent(item):
        return False
    if isinstance(container, Mapping) and isinstance(item, str):
        return item in container
    if isinstance(container, str) and isinstance(item, str):
        allowance.spend(len(container) // CHARACTERS_A_STEP)
        return item in container
    raise BadTemplate(f"{kind(item)} cannot be in {kind(container)}")


def _is_ordered(operator: str, left: Any, right: Any) -> bool:
    if is_absent(left) or is_absent(right):
        return False
    if not (is_number(left) and is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise BadTemplate(f"{kind(left)} and {kind(right)} have no order")
    orders = {"lt": left < right, "lteq": left <= right, "gt": left > right, "gteq": left >= right}
    return bool(orders[operator])


TESTS: dict[str, Callable[[Any], bool]] = {
    "defined": lambda value: value is not MISSING,
    "undefined": lambda value: value is MISSING,
    "none": is_absent,
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "sequence": lambda value: isinstance(value, list),
    "mapping": lambda value: isinstance(value, Mapping),
}
