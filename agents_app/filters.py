"""What narrows a list, as a request's query says it."""

from collections.abc import Mapping, Sequence

from rest_framework.request import Request

from taskmaster.core.errors import ValidationFailed


def insist_known(request: Request, allowed: Mapping[str, Sequence[str]]) -> None:
    """Refuse a filter by a value that there is not: an empty list would look like an answer."""
    for name, values in allowed.items():
        if name in request.GET and request.GET[name] not in values:
            raise ValidationFailed.of(name, f"one of {', '.join(values)}")


def narrowed(request: Request, fields: Mapping[str, str]) -> dict[str, str]:
    """The columns to filter by and their values, for those of the filters that the query has."""
    return {field: request.GET[name].replace("\0", "") for name, field in fields.items() if name in request.GET}
