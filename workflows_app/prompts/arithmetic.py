"""Arithmetic on numbers, and on nothing else."""

import operator
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from .errors import BadTemplate
from .values import as_number, bounded

OPERATIONS: dict[type[nodes.BinExpr], Callable[[Any, Any], Any]] = {
    nodes.Add: operator.add,
    nodes.Sub: operator.sub,
    nodes.Mul: operator.mul,
    nodes.Div: operator.truediv,
    nodes.Mod: operator.mod,
}


def calculate(kind: type[nodes.BinExpr], left: Any, right: Any) -> int | float:
    """The result. Raises BadTemplate for what is no number, for a division by zero and for too large a result."""
    try:
        return bounded(OPERATIONS[kind](as_number(left), as_number(right)))
    except ZeroDivisionError:
        raise BadTemplate("a division by zero") from None
