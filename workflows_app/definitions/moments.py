"""Moments as templates and their data write them."""

from datetime import UTC, datetime


def read_moment(text: str) -> datetime:
    """The moment in UTC that an ISO 8601 time names. Raises ValueError where it names none, or has no time zone."""
    found = datetime.fromisoformat(text.strip())
    if found.tzinfo is None:
        raise ValueError("no time zone")
    try:
        return found.astimezone(UTC)
    except OverflowError:
        raise ValueError("before the year 1 or after the year 9999") from None
