"""`manage.py issue_token --org acme --name ci [--scopes read,write] [--expires-in 30d] [--json]`."""

import json
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_slug

from taskmaster import env
from taskmaster.core.clock import now
from taskmaster.orgs.models import SCOPES
from taskmaster.orgs.organizations import organization_of
from taskmaster.orgs.tokens import issue_token


class Command(BaseCommand):
    """Makes a token, and its organization if that is missing."""

    help = "Make an API token and print it; the organization is created if it is missing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--org", required=True, help="the organization's slug")
        parser.add_argument("--name", required=True, help="what the token is for")
        parser.add_argument("--scopes", default="read,write", help=f"comma-separated, of {','.join(SCOPES)}")
        parser.add_argument("--expires-in", help="such as 12h or 30d; never, if absent")
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it."""
        slug, name = _slug(options["org"]), _name(options["name"])
        scopes, expires_at = _scopes(options["scopes"]), _expiry(options["expires_in"])
        org = organization_of(slug)
        token, secret = issue_token(org=org, name=name, scopes=scopes, expires_at=expires_at)
        if options["json"]:
            self.stdout.write(json.dumps({"orgId": org.id, "token": secret}))
        else:
            self.stdout.write(
                f"Organization: {org.id} ({org.slug})\nToken: {secret}\nScopes: {', '.join(token.scopes)}"
            )


def _slug(raw: str) -> str:
    try:
        validate_slug(raw)
    except ValidationError:
        raise CommandError("--org: use letters, digits, hyphens and underscores") from None
    if len(raw) > 64:
        raise CommandError("--org: at most 64 characters")
    return raw


def _name(raw: str) -> str:
    if not raw.strip() or len(raw) > 200:
        raise CommandError("--name: 1 to 200 characters")
    return raw


def _scopes(raw: str) -> list[str]:
    scopes = env.names(raw)
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise CommandError(f"--scopes: choose from {', '.join(SCOPES)}" + (f", not {unknown[0]!r}" if unknown else ""))
    return scopes


def _expiry(raw: str | None) -> datetime | None:
    if raw is None:
        return None
    try:
        return now() + timedelta(seconds=env.seconds(raw))
    except (env.WrongSetting, OverflowError) as error:
        raise CommandError(f"--expires-in: {error}") from None
