"""Evaluates a template's tree over JSON: one method for each kind of node it may have, and nothing for the others."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from jinja2 import nodes

from .allowance import Allowance
from .arithmetic import OPERATIONS, calculate
from .comparing import TESTS, compare
from .errors import BadTemplate
from .filters import FILTERS
from .values import MISSING, as_json, as_number, as_text, is_absent, kind, look_up


class Evaluation:
    """One rendering of a tree; `line` is the one it is at."""

    def __init__(self, variables: Mapping[str, Any], allowance: Allowance) -> None:
        self.line = 1
        self._scope = dict(variables)
        self._allowance = allowance
        self._written: list[str] = []

    def text(self, template: nodes.Template) -> str:
        """What the template says. Raises BadTemplate."""
        self._all(template.body)
        return "".join(self._written)

    def value(self, node: nodes.Node) -> Any:
        """What the expression is worth, MISSING where its path leads nowhere. Raises BadTemplate."""
        return self._visit(node, _VALUES)

    def _visit(self, node: nodes.Node, table: Mapping[type[nodes.Node], Callable[..., Any]]) -> Any:
        self.line = node.lineno
        self._allowance.spend()
        visit = table.get(type(node))
        if visit is None:
            raise BadTemplate(f"{type(node).__name__.lower()} is not allowed in a template")
        return visit(self, node)

    def _all(self, body: Sequence[nodes.Node]) -> None:
        for node in body:
            self._visit(node, _STATEMENTS)

    def _output(self, node: nodes.Output) -> None:
        for part in node.nodes:
            text = part.data if isinstance(part, nodes.TemplateData) else as_text(self.value(part))
            self._written.append(self._allowance.written(text))

    def _if(self, node: nodes.If) -> None:
        for branch in (node, *node.elif_):
            if self.value(branch.test):
                return self._all(branch.body)
        return self._all(node.else_)

    def _for(self, node: nodes.For) -> None:
        found, outside, name = self.value(node.iter), self._scope, node.target.name  # type: ignore[attr-defined]
        if not is_absent(found) and not isinstance(found, list | dict):
            raise BadTemplate(f"a loop needs a list, not {kind(found)}")
        items = list(found or ())
        for at, item in enumerate(items):
            self._allowance.spend()
            self._scope = {**outside, name: item, "loop": _loop(at, len(items))}
            self._all(node.body)
        self._scope = outside
        if not items:
            self._all(node.else_)

    def _name(self, node: nodes.Name) -> Any:
        return self._scope.get(node.name, MISSING)

    def _const(self, node: nodes.Const) -> Any:
        return node.value

    def _list(self, node: nodes.List | nodes.Tuple) -> list[Any]:
        return [as_json(self.value(item)) for item in node.items]

    def _dict(self, node: nodes.Dict) -> dict[str, Any]:
        return {as_text(self.value(pair.key)): as_json(self.value(pair.value)) for pair in node.items}

    def _attribute(self, node: nodes.Getattr) -> Any:
        return look_up(self.value(node.node), node.attr)

    def _item(self, node: nodes.Getitem) -> Any:
        return look_up(self.value(node.node), self.value(node.arg))

    def _either(self, node: nodes.CondExpr) -> Any:
        if self.value(node.test):
            return self.value(node.expr1)
        return MISSING if node.expr2 is None else self.value(node.expr2)

    def _compare(self, node: nodes.Compare) -> bool:
        left = self.value(node.expr)
        for operand in node.ops:
            right = self.value(operand.expr)
            if not compare(operand.op, left, right, self._allowance):
                return False
            left = right
        return True

    def _and(self, node: nodes.And) -> Any:
        return self.value(node.left) and self.value(node.right)

    def _or(self, node: nodes.Or) -> Any:
        return self.value(node.left) or self.value(node.right)

    def _not(self, node: nodes.Not) -> bool:
        return not self.value(node.node)

    def _filter(self, node: nodes.Filter) -> Any:
        # Only a filter block, which grammar.py refuses, has no value to filter.
        value = self.value(cast(nodes.Expr, node.node))
        arguments = [self.value(one) for one in node.args]
        return FILTERS[node.name].apply(self._allowance, value, *arguments)

    def _test(self, node: nodes.Test) -> bool:
        return bool(TESTS[node.name](self.value(node.node)))

    def _arithmetic(self, node: nodes.BinExpr) -> int | float:
        return calculate(type(node), self.value(node.left), self.value(node.right))

    def _negative(self, node: nodes.Neg) -> int | float:
        return -as_number(self.value(node.node))

    def _positive(self, node: nodes.Pos) -> int | float:
        return as_number(self.value(node.node))


def _loop(at: int, length: int) -> dict[str, Any]:
    return {"index": at + 1, "index0": at, "first": at == 0, "last": at == length - 1, "length": length}


_STATEMENTS: dict[type[nodes.Node], Callable[..., Any]] = {
    nodes.Output: Evaluation._output,
    nodes.If: Evaluation._if,
    nodes.For: Evaluation._for,
}
_VALUES: dict[type[nodes.Node], Callable[..., Any]] = {
    nodes.Name: Evaluation._name,
    nodes.Const: Evaluation._const,
    nodes.List: Evaluation._list,
    nodes.Tuple: Evaluation._list,
    nodes.Dict: Evaluation._dict,
    nodes.Getattr: Evaluation._attribute,
    nodes.Getitem: Evaluation._item,
    nodes.CondExpr: Evaluation._either,
    nodes.Compare: Evaluation._compare,
    nodes.And: Evaluation._and,
    nodes.Or: Evaluation._or,
    nodes.Not: Evaluation._not,
    nodes.Filter: Evaluation._filter,
    nodes.Test: Evaluation._test,
    nodes.Neg: Evaluation._negative,
    nodes.Pos: Evaluation._positive,
    **dict.fromkeys(OPERATIONS, Evaluation._arithmetic),
}
