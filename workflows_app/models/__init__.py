"""Templates, workflows, their steps and what became of each."""

from .step import StepAttempt, StepItem, StepLink, WorkflowStep
from .template import WorkflowTemplate
from .workflow import Workflow

__all__ = ["StepAttempt", "StepItem", "StepLink", "Workflow", "WorkflowStep", "WorkflowTemplate"]
