"""The admin's forms of organizations and tokens."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from taskmaster.core.clock import now
from taskmaster.env import RATE

from .models import SCOPES, Organization


def _limit(name: str, most: int) -> forms.IntegerField:
    column: Any = Organization._meta.get_field(name)
    return forms.IntegerField(min_value=1, max_value=most, required=False, help_text=column.help_text)


class RateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with a `rate_limit`."""

    def clean_rate_limit(self) -> str:
        """A rate as the limiter reads it, or nothing."""
        rate = str(self.cleaned_data["rate_limit"])
        if rate and not RATE.match(rate):
            raise ValidationError("Write a rate as requests/window, such as 1000/15m; the window is in s, m, h or d.")
        return rate


class OrganizationForm(RateForm):
    """The limits, each from 1 on, as over REST; empty ones are none."""

    token_budget = _limit("token_budget", 2**53 - 1)
    max_running = _limit("max_running", 10_000)


class TokenForm(RateForm):
    """Scopes as checkboxes, and an end that lies ahead."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {meaning}") for scope, meaning in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["read", "write"],
    )

    def clean_expires_at(self) -> Any:
        """A moment in the future; one that was stored before may have passed."""
        moment = self.cleaned_data["expires_at"]
        if moment and "expires_at" in self.changed_data and moment <= now():
            raise ValidationError("It must be in the future. To end a token at once, use the list's actions.")
        return moment
