"""The first start: tables, an organization, a token, a login for the admin, each made once and printed once."""

import secrets
import sys
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from taskmaster.orgs.models import SCOPES, Organization
from taskmaster.orgs.organizations import create_organization
from taskmaster.orgs.tokens import issue_token

FIRST_ORG = "default"
_ADVISORY_LOCK = 0x7461736C


@dataclass(frozen=True, slots=True)
class Made:
    """What a start has to show: secrets only where they have just been made."""

    org_id: str
    token: str | None = None
    admin_password: str | None = None


def prepare() -> Made:
    """Bring the database up to date and make what is missing; two at once do it once."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            return _prepare()
    return _prepare()


def _prepare() -> Made:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        sys.stdout.write("Preparing the database …\n")
        sys.stdout.flush()
        call_command("migrate", verbosity=0, interactive=False)
    existing = Organization.objects.order_by("created_at").first()
    return Made(existing.id) if existing else _make_first()


@transaction.atomic
def _make_first() -> Made:
    org = create_organization(slug=FIRST_ORG, name="Default")
    _, token = issue_token(org=org, name="first token", scopes=SCOPES)
    password = None
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", None, password)
    return Made(org.id, token, password)


def announce(made: Made, port: int) -> None:
    """Print where it is and how to get in."""
    lines = [f"Task Master {settings.VERSION}", f"Base URL: http://localhost:{port}/api/v1", f"Org ID: {made.org_id}"]
    if made.token:
        lines.append(f"Token: {made.token}")
    else:
        lines.append(
            "Token: shown at the first start; make another with `manage.py issue_token --org default --name <name>`"
        )
    lines.append(f"Admin: http://localhost:{port}/admin/")
    if made.admin_password:
        lines += ["Admin user: admin", f"Admin password: {made.admin_password}"]
    if settings.WEBHOOK_ALLOW_PRIVATE:
        lines.append("Webhooks and http agents may call this machine (TASKMASTER_WEBHOOK_ALLOW_PRIVATE=0 forbids it)")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
