"""The one parser of bodies: strict JSON, and an object at the top."""

from typing import IO, Any

from rest_framework.parsers import BaseParser

from taskmaster.core.errors import BadRequest
from taskmaster.core.strict_json import JsonRefused, parse


class StrictJsonParser(BaseParser):
    """RFC 8259 with RFC 7493's limits; see `taskmaster.core.strict_json`."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """The body's object. Raises BadRequest."""
        return parse_object(stream.read())


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object in `raw`. Raises BadRequest for anything else."""
    try:
        body = parse(raw)
    except JsonRefused as refused:
        raise BadRequest(f"The body is not valid JSON: {refused}") from None
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    return body
