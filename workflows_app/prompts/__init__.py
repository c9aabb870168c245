"""Prompts and expressions: Jinja2's language, read by Jinja2 and evaluated by a walk of ours over data.

Nothing is compiled and nothing is called: a template can look at the JSON it is given, and at nothing else.
"""

from .errors import BadTemplate
from .found_json import extract_json
from .grammar import EXPRESSION_NAMES, ITEM_NAMES, check, check_expression
from .rendering import evaluate, render, render_json

__all__ = [
    "EXPRESSION_NAMES",
    "ITEM_NAMES",
    "BadTemplate",
    "check",
    "check_expression",
    "evaluate",
    "extract_json",
    "render",
    "render_json",
]
