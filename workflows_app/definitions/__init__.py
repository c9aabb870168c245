"""What a template is: its steps, their members by type, and exactly what is wrong where something is."""

from .findings import Problem
from .overrides import check_overrides, with_overrides
from .steps import Step, check_steps, read_steps
from .template import read_template

__all__ = [
    "Problem",
    "Step",
    "check_overrides",
    "check_steps",
    "read_steps",
    "read_template",
    "with_overrides",
]
