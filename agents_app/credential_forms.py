"""The admin's form of a credential. A key goes in and never out, and an address only with a key."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget

from .credentials import OFFICIAL
from .registry import BACKENDS

# What each field is in a configuration.
MEMBERS = {"api_key": "apiKey", "base_url": "baseUrl", "codegen_org": "orgId"}

# The backend that says whether a provider's fields would do. Claude's own would also say whether Claude is installed.
CHECKED_BY = {"openai": "openai", "claude": "openai", "codegen": "codegen"}


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new credential, or all of one anew: a stored key is never sent to an address that was typed after it."""

    api_key = forms.CharField(
        label="API key",
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password", "class": "vTextField"}),
        help_text="It is sealed and never shown again, but for its last four characters. What is typed here takes the "
        "place of all that was stored, the address too.",
    )
    base_url = forms.CharField(
        label="Base URL",
        required=False,
        max_length=2048,
        widget=AdminTextInputWidget,
        help_text="The only address that the key is sent to. Empty: the provider's own.",
    )
    codegen_org = forms.CharField(
        label="Codegen organization",
        required=False,
        max_length=20,
        widget=AdminTextInputWidget,
        help_text="Codegen's number of the organization; of no other provider.",
    )

    def clean(self) -> None:
        """The provider's backend must be able to work with it."""
        super().clean()
        if not self.errors:
            if self.provider != "codegen" and self.cleaned_data["codegen_org"]:
                self.add_error("codegen_org", "Only Codegen has one.")
            else:
                self._check()

    def _check(self) -> None:
        config = {"baseUrl": OFFICIAL[self.provider], "model": "any"} | self.members()
        why = BACKENDS[CHECKED_BY[self.provider]].unready(config)
        if why:
            named = [name for name, member in MEMBERS.items() if f".{member} " in why.reason]
            self.add_error(named[0] if named else None, f"It {why.reason.partition(' ')[2]}." if named else why.reason)

    @property
    def provider(self) -> str:
        """Of the stored one, or as it was chosen."""
        return str(self.cleaned_data.get("provider") or self.instance.provider)

    def members(self) -> dict[str, Any]:
        """The members of a configuration that were given."""
        return {member: self.cleaned_data[name] for name, member in MEMBERS.items() if self.cleaned_data[name]}
