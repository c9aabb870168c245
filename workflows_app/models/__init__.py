"""Templates, workflows, their steps and what became of each; what starts workflows by itself."""

from .schedule import OVERLAPS, Schedule
from .step import StepAttempt, StepItem, StepLink, WorkflowStep
from .template import WorkflowTemplate
from .trigger import Trigger, TriggerDelivery
from .workflow import Workflow

__all__ = [
    "OVERLAPS",
    "Schedule",
    "StepAttempt",
    "StepItem",
    "StepLink",
    "Trigger",
    "TriggerDelivery",
    "Workflow",
    "WorkflowStep",
    "WorkflowTemplate",
]
