"""The admin's form of a decision."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget

from .actions import Verdict
from .models import Action

CHOICES = {"confirm": True, "deny": False}


class DecisionForm(forms.Form):
    """Which button was pressed, and what was said to it. A budget may be given its new size."""

    token_budget = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**53 - 1,
        help_text="How many tokens it may use in all from now on. Empty: as many again as it was.",
    )
    reason = forms.CharField(
        required=False,
        max_length=10_000,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        help_text="Whoever asked is told it.",
    )

    def __init__(self, action: Action, data: Any = None) -> None:
        super().__init__(data)
        if action.kind != "budget":
            del self.fields["token_budget"]

    def clean(self) -> None:
        """One of the two buttons."""
        super().clean()
        pressed = [choice for choice in CHOICES if choice in self.data]
        if len(pressed) != 1:
            raise forms.ValidationError("Press Confirm or Deny.")
        self.cleaned_data["confirmed"] = CHOICES[pressed[0]]

    def verdict(self, by: str) -> Verdict:
        """The decision as it was typed."""
        tokens = self.cleaned_data.get("token_budget")
        return Verdict(
            confirmed=self.cleaned_data["confirmed"],
            by=by,
            reason=self.cleaned_data["reason"],
            updated_input={"tokenBudget": tokens} if tokens else None,
        )
