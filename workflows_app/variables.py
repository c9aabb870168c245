"""What prompts and conditions can see: the workflow's context, the results of its steps, and no more."""

from collections.abc import Iterator, Mapping
from typing import Any

from .models import Workflow, WorkflowStep
from .prompts import BadTemplate, evaluate, render, render_json


class _Steps(Mapping[str, Any]):
    """The results of the steps by id, each looked up when it is first asked for."""

    def __init__(self, workflow_id: str) -> None:
        self._workflow_id = workflow_id
        self._known: dict[str, dict[str, Any]] = {}

    def __getitem__(self, key: str) -> dict[str, Any]:
        if key not in self._known:
            step = WorkflowStep.objects.filter(workflow=self._workflow_id, key=key).first()
            if step is None:
                raise KeyError(key)
            self.know(step)
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(WorkflowStep.objects.filter(workflow=self._workflow_id).values_list("key", flat=True))

    def __len__(self) -> int:
        return WorkflowStep.objects.filter(workflow=self._workflow_id).count()

    def know(self, step: WorkflowStep) -> None:
        """Remember what came of it."""
        self._known[step.key] = {"status": step.status, "result": step.result, "error": step.error}


class Variables:
    """The variables of one workflow, for as long as its row is held."""

    def __init__(self, workflow: Workflow) -> None:
        self._steps = _Steps(workflow.pk)
        self._values: dict[str, Any] = {
            "context": workflow.context,
            "steps": self._steps,
            "stepData": workflow.step_data,
            "workflow": {"id": workflow.pk, "name": workflow.name},
        }

    def know(self, step: WorkflowStep) -> None:
        """A step has ended a moment ago."""
        self._steps.know(step)

    def render(self, template: str, **more: Any) -> str:
        """The template's text. Raises BadTemplate."""
        return render(template, self._values | more)

    def render_json(self, value: Any) -> Any:
        """JSON with its strings rendered. Raises BadTemplate."""
        return render_json(value, self._values)

    def evaluate(self, expression: str, **more: Any) -> Any:
        """The expression's value. Raises BadTemplate."""
        return evaluate(expression, self._values | more)

    def holds(self, step: WorkflowStep) -> bool | str:
        """Whether the step's `when` holds, or why that cannot be said."""
        try:
            return bool(self.evaluate(step.definition["when"]))
        except BadTemplate as bad:
            return f"when: {bad}"
