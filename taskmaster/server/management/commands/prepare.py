"""`manage.py prepare`: what has to be done once before the processes of the services profile start."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from taskmaster.server.first_run import announce, prepare


class Command(BaseCommand):
    """Migrates, and makes the first organization, token and login where there are none."""

    help = "Migrate the database and make the first organization, token and admin login, once."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, and print what was made."""
        announce(prepare(), settings.PORT)
