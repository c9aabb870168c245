"""What a template may say: an allow-list of Jinja2's nodes, filters, tests and names. All the rest is refused."""

from jinja2 import nodes

from .comparing import TESTS
from .errors import BadTemplate
from .filters import FILTERS
from .parsing import is_plain, parse_expression, parse_template

EXPRESSION_NAMES = frozenset({"context", "steps", "stepData", "workflow"})
ITEM_NAMES = EXPRESSION_NAMES | {"item", "index"}

# The ids of the steps whose results are read, each with the first line where it is.
Mentions = dict[str, int]

ALLOWED = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Getattr, nodes.Getitem),
    *(nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter, nodes.Test),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Mod, nodes.Neg, nodes.Pos),
)
# How the refused ones are called by who writes them.
REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "a call",
    nodes.CallBlock: "a call block",
    nodes.FilterBlock: "a filter block",
    nodes.Assign: "set",
    nodes.AssignBlock: "set",
    nodes.Macro: "a macro",
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "a block",
    nodes.With: "with",
    nodes.Slice: "a slice",
    nodes.Concat: "~",
    nodes.Pow: "**",
    nodes.FloorDiv: "//",
}
LOOP = "loop"


def check(template: str, names: frozenset[str] = EXPRESSION_NAMES) -> Mentions:
    """Check a template over variables of these names. Raises BadTemplate."""
    return {} if is_plain(template) else _checked(parse_template(template), names)


def check_expression(source: str, names: frozenset[str] = EXPRESSION_NAMES) -> Mentions:
    """Check an expression over variables of these names. Raises BadTemplate."""
    return _checked(parse_expression(source), names)


def _checked(tree: nodes.Node, names: frozenset[str]) -> Mentions:
    mentions: Mentions = {}
    _Check(mentions).node(tree, names)
    return mentions


class _Check:
    """One walk over a tree, which parsing has found to be shallow enough."""

    def __init__(self, mentions: Mentions) -> None:
        self._mentions = mentions

    def node(self, node: nodes.Node, names: frozenset[str]) -> None:
        if not isinstance(node, ALLOWED):
            said = REFUSED.get(type(node), type(node).__name__.lower())
            raise BadTemplate(f"{said} is not allowed in a template", node.lineno)
        if isinstance(node, nodes.Getattr | nodes.Getitem) and _is_steps(node.node):
            self._step(node)
        elif isinstance(node, nodes.For):
            self._loop(node, names)
        else:
            self._own(node, names)
            for child in node.iter_child_nodes():
                self.node(child, names)

    def _own(self, node: nodes.Node, names: frozenset[str]) -> None:
        """What the kind of node asks for, apart from its children."""
        if isinstance(node, nodes.Name):
            _check_name(node, names)
        elif isinstance(node, nodes.Filter):
            _check_filter(node)
        elif isinstance(node, nodes.Test):
            _check_test(node)

    def _step(self, node: nodes.Getattr | nodes.Getitem) -> None:
        key = node.attr if isinstance(node, nodes.Getattr) else _constant(node.arg)
        if not isinstance(key, str):
            raise BadTemplate("steps must be followed by the id of a step", node.lineno)
        self._mentions.setdefault(key, node.lineno)

    def _loop(self, node: nodes.For, names: frozenset[str]) -> None:
        if node.recursive or node.test is not None or not isinstance(node.target, nodes.Name):
            raise BadTemplate("a loop is written {% for name in list %}", node.lineno)
        if node.target.name in ITEM_NAMES | {LOOP}:
            raise BadTemplate(f"{node.target.name} is the name of something else", node.lineno)
        self.node(node.iter, names)
        for child in node.body:
            self.node(child, names | {node.target.name, LOOP})
        for child in node.else_:
            self.node(child, names)


def _is_steps(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name == "steps"


def _constant(node: nodes.Node) -> object:
    return node.value if isinstance(node, nodes.Const) else None


def _check_name(node: nodes.Name, names: frozenset[str]) -> None:
    if node.name == "steps":
        raise BadTemplate("steps must be followed by the id of a step", node.lineno)
    if node.name not in names:
        raise BadTemplate(f"there is no variable {node.name!r}: {', '.join(sorted(names))} are known", node.lineno)


def _check_filter(node: nodes.Filter) -> None:
    found = FILTERS.get(node.name)
    if found is None:
        raise BadTemplate(f"there is no filter {node.name!r}: {', '.join(FILTERS)} are known", node.lineno)
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise BadTemplate(f"the arguments of {node.name} have no names", node.lineno)
    if not found.least <= len(node.args) <= found.most:
        wanted = str(found.most) if found.least == found.most else f"{found.least} to {found.most}"
        raise BadTemplate(f"{node.name} takes {wanted} arguments, not {len(node.args)}", node.lineno)


def _check_test(node: nodes.Test) -> None:
    if node.name not in TESTS:
        raise BadTemplate(f"there is no test {node.name!r}: {', '.join(TESTS)} are known", node.lineno)
    if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs:
        raise BadTemplate(f"the test {node.name} takes no arguments", node.lineno)
