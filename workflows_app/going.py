"""A workflow that goes on."""

from dataclasses import dataclass

from agents_app import routing

from .models import Workflow
from .variables import Variables


@dataclass(frozen=True, slots=True)
class Going:
    """A workflow whose row is held, what its prompts can see, and who chooses the agents of what starts now."""

    workflow: Workflow
    variables: Variables
    agents: routing.Choosing

    @classmethod
    def on(cls, workflow: Workflow) -> "Going":
        """For as long as its row is held."""
        return cls(workflow, Variables(workflow), routing.Choosing(workflow.org_id))
