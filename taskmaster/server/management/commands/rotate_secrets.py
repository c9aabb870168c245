"""`manage.py rotate_secrets [--batch-size 500]`: the second step of a change of SECRET_KEY."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from taskmaster.core.resealing import BATCH, Counts, reseal_column, sealed_columns


class Command(BaseCommand):
    """Seals every stored secret with the current SECRET_KEY."""

    help = (
        "Seal every stored secret anew with the current SECRET_KEY. Secrets sealed with a key of SECRET_KEY_FALLBACKS "
        "are read with that. It may run beside the servers, be interrupted, and be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options."""
        parser.add_argument("--batch-size", type=_size, default=BATCH, help="rows to read at once (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal, and print what was done. Raises CommandError where something cannot be read."""
        unreadable = 0
        for column in sealed_columns():
            counts = reseal_column(column, batch=options["batch_size"])
            self.stdout.write(f"{column.model._meta.label}.{column.name}: {_told(counts)}")
            unreadable += counts.unreadable
        if unreadable:
            raise CommandError(
                f"{unreadable} could not be read and were left as they are: they are damaged, or were sealed with a "
                "key that is neither SECRET_KEY nor in SECRET_KEY_FALLBACKS."
            )


def _told(counts: Counts) -> str:
    told = f"{counts.resealed} sealed anew, {counts.current} already current, {counts.unreadable} unreadable"
    more = ", …" if counts.unreadable > len(counts.named) else ""
    return f"{told} ({', '.join(counts.named)}{more})" if counts.named else told


def _size(raw: str) -> int:
    if not raw.isascii() or not raw.isdigit() or not 1 <= int(raw) <= 100_000:
        raise ArgumentTypeError("expected a whole number from 1 to 100000")
    return int(raw)
