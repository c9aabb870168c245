"""`manage.py write_docs`: the pages of docs/ that are made from the code."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from taskmaster.core.errors import ApiError
from taskmaster.events.page import events_page

HEAD = """# Errors

Made by `manage.py write_docs` from the error classes. Every failure has this body, and `application/problem+json` on
request:

```json
{"success": false, "error": "…", "code": "not_found", "details": null, "data": null, "timestamp": "…", …}
```

`error` is for people, `code` is stable, `details` is null or a list of `{"field", "message"}`.

| status | code | meaning |
|---|---|---|
"""


def errors_page() -> str:
    """The table of all error codes, by status."""
    found = {error.code: error for error in _below(ApiError)}
    rows = sorted(found.values(), key=lambda error: (error.status, error.code))
    lines = [f"| {e.status} | `{e.code}` | {(e.__doc__ or '').splitlines()[0]} |\n" for e in rows]
    return HEAD + "".join(lines)


def _below(error: type[ApiError]) -> list[type[ApiError]]:
    return [error, *(deeper for child in error.__subclasses__() for deeper in _below(child))]


PAGES = {"errors.md": errors_page, "events.md": events_page}


class Command(BaseCommand):
    """Writes them."""

    help = "Write the pages of docs/ that are made from the code."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write."""
        for name, page in PAGES.items():
            Path(settings.ROOT, "docs", name).write_text(page())
