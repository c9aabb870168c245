"""Times as the wire tells them. Leases never use these: they use the database's own clock."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """The current time, in UTC."""
    return datetime.now(UTC)


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with milliseconds and a `Z`, or None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def milliseconds(span: timedelta) -> int:
    """A span as whole milliseconds."""
    return span // timedelta(milliseconds=1)
