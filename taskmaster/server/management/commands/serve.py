"""`manage.py serve`: the whole product in one process when embedded, a web process otherwise."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from taskmaster.server.first_run import announce, prepare


class Command(BaseCommand):
    """Serves HTTP until it is told to stop."""

    help = "Serve. Embedded: migrate, make the first login, and run everything in this process."

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve."""
        from taskmaster.server.web import serve

        if not settings.EMBEDDED:
            return serve(reuse_port=True, on_ready=lambda port: self.stdout.write(f"Listening on port {port}."))
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        from taskmaster.server.embedded import Embedded

        embedded = Embedded()
        first = prepare()
        embedded.start()
        try:
            serve(reuse_port=False, on_ready=lambda port: announce(first, port))
        finally:
            embedded.stop()
        return None
