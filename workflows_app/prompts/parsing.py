"""Reads templates and expressions into Jinja2's syntax tree. Jinja2 is used for nothing but this."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .errors import BadTemplate
from .values import bounded, is_number

MAX_CHARACTERS = 262_144
# A tree this deep is walked with a few hundred of Python's frames.
MAX_DEPTH = 60
# Reading that many takes a few tenths of a second; what people write has some hundred.
MAX_TOKENS = 20_000
# What opens something in Jinja2; a text without any is its own rendering.
MARKS = ("{{", "{%", "{#")
UNWELCOME = re.compile("[\0\ud800-\udfff]")
TOO_DEEP = f"it is nested more than {MAX_DEPTH} deep"

_Tree = TypeVar("_Tree", bound=nodes.Node)
_CACHED_CHARACTERS = 2_000


class _Bounded(Extension):
    """Stops the reading of an endless template early."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """The same tokens, up to their bound."""
        for count, token in enumerate(stream):
            if count == MAX_TOKENS:
                raise BadTemplate(f"it has more than {MAX_TOKENS} words and signs", token.lineno)
            yield token


# The sandbox is a second lock: even a tree that somebody were to compile could call nothing.
_environment = ImmutableSandboxedEnvironment(
    autoescape=False, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True, extensions=[_Bounded]
)


def is_plain(source: str) -> bool:
    """Whether there is nothing to be filled in."""
    return not any(mark in source for mark in MARKS)


def parse_template(source: str) -> nodes.Template:
    """The tree of a text with `{{ … }}` and `{% … %}` in it. Raises BadTemplate."""
    return _cached_template(source) if len(source) <= _CACHED_CHARACTERS else _template(source)


def parse_expression(source: str) -> nodes.Expr:
    """The tree of what could stand between `{{` and `}}`. Raises BadTemplate."""
    return _cached_expression(source) if len(source) <= _CACHED_CHARACTERS else _expression(source)


def _template(source: str) -> nodes.Template:
    return _read(source, lambda: Parser(_environment, source).parse())


def _expression(source: str) -> nodes.Expr:
    return _read(source, lambda: _whole_expression(_inside(source)))


_cached_template = lru_cache(maxsize=128)(_template)
_cached_expression = lru_cache(maxsize=128)(_expression)


def _inside(source: str) -> str:
    """Without the braces around all of it, which many write out of habit."""
    bare = source.strip()
    return bare[2:-2] if bare.startswith("{{") and bare.endswith("}}") else bare


def _whole_expression(source: str) -> nodes.Expr:
    parser = Parser(_environment, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        raise BadTemplate("there is more after the end of the expression", parser.stream.current.lineno)
    return tree


def _read(source: str, parse: Callable[[], _Tree]) -> _Tree:
    if len(source) > MAX_CHARACTERS:
        raise BadTemplate(f"it is longer than {MAX_CHARACTERS} characters")
    try:
        tree = parse()
    except TemplateSyntaxError as error:
        raise BadTemplate(error.message or "it cannot be read", error.lineno) from None
    except RecursionError:
        raise BadTemplate(TOO_DEEP) from None
    except BadTemplate:
        raise
    except (ValueError, OverflowError):
        # Python refuses a number of thousands of digits with an error of its own.
        raise BadTemplate("it has a number that is too large") from None
    _check_tree(tree)
    return tree


def _check_tree(tree: nodes.Node) -> None:
    """Its depth, and that its constants are values that JSON has and a database takes."""
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_DEPTH):
        for node in level:
            if isinstance(node, nodes.Const):
                _check_constant(node)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise BadTemplate(TOO_DEEP, level[0].lineno)


def _check_constant(node: nodes.Const) -> None:
    if isinstance(node.value, str):
        if UNWELCOME.search(node.value):
            raise BadTemplate("a string holds NUL or half of a surrogate pair", node.lineno)
    elif is_number(node.value):
        bounded(node.value)
