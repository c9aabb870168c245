"""Cron expressions in a time zone: when the next run is."""

import zoneinfo
from datetime import UTC, datetime
from functools import cache

from cronsim import CronSim, CronSimError

FIELDS = "minute, hour, day of month, month, day of week"
LONGEST = 100
NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
# In the system's folder, but no zones.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules"})


class BadCron(ValueError):
    """Why an expression was not taken, in words for its author."""


def next_run(expression: str, zone: str, after: datetime) -> datetime | None:
    """The first moment later than `after` that the expression names in that zone, in UTC. Raises BadCron.

    As Debian's cron has it: a time of day that is skipped when clocks go forward is the moment right after, and one
    that comes twice counts once; an expression with a star for the hour or the minute goes by real time.
    """
    runs = _simulation(expression, after.astimezone(zoneinfo.ZoneInfo(zone)))
    # Within an hour that comes a second time the first of both is told, which is over.
    return next((run for run in (each.astimezone(UTC) for each in runs) if run > after), None)


def check(expression: str) -> None:
    """Raise BadCron where it cannot be read, or names no moment at all."""
    if next_run(expression, "UTC", datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise BadCron("names no moment at all")


def _simulation(expression: str, start: datetime) -> CronSim:
    expression = NAMED.get(expression.strip(), expression)
    if len(expression) > LONGEST or len(expression.split()) != 5:
        raise BadCron(f"must have five fields, {FIELDS}, or be one of {', '.join(NAMED)}")
    try:
        return CronSim(expression, start)
    except CronSimError as error:
        raise BadCron(f"cannot be read: {str(error).lower()}") from None


@cache
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(zoneinfo.available_timezones()) - _NO_ZONES
