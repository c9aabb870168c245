"""Frames: what clients may send, and how they are answered."""

from collections.abc import Iterable
from typing import Any

import orjson

from taskmaster.core import strict_json
from taskmaster.core.errors import ApiError, BadRequest, RateLimited, ValidationFailed

# Of the JSON of a `ref`, in bytes.
LONGEST_REF = 1_000
# In characters; no id of ours is longer.
LONGEST_ID = 64
# A frame that is dropped is read for its `ref` only if it is small.
SMALL = 4_096

Frame = dict[str, Any]


def parsed(text: str | None) -> Frame:
    """The client's frame. Raises BadRequest for what is binary, not JSON, or not an object."""
    if text is None:
        raise BadRequest("Send text frames.")
    try:
        frame = strict_json.parse(text.encode(errors="surrogatepass"))
    except strict_json.JsonRefused as refused:
        raise BadRequest(f"This is not valid JSON: {refused}.") from None
    if not isinstance(frame, dict):
        raise BadRequest("A frame is a JSON object.")
    return frame


def unknown(kind: Any, known: Iterable[str]) -> str:
    """What is said of a frame whose type there is not."""
    said = f"There is no frame of the type {kind[:64]!r}" if isinstance(kind, str) else "A frame has a type, a string"
    return f"{said}; there are {', '.join(known)}."


def ref_of(frame: Frame) -> Frame:
    """The client's own mark, any JSON value, for the answer to carry. Raises ValidationFailed where it is too long."""
    ref = frame.get("ref")
    if ref is None:
        return {}
    if len(orjson.dumps(ref)) > LONGEST_REF:
        raise ValidationFailed.of("ref", f"at most {LONGEST_REF} bytes")
    return {"ref": ref}


def ref_of_dropped(text: str | None) -> Frame:
    """The same of a frame that nobody reads."""
    try:
        return ref_of(parsed(text)) if text and len(text) <= SMALL else {}
    except ApiError:
        return {}


def error_frame(error: ApiError, **more: Any) -> Frame:
    """What an error looks like on a socket."""
    frame: Frame = {"type": "error", "code": error.code, "error": str(error)}
    if error.details:
        frame["details"] = error.details
    if error.retry_after:
        frame["retryAfter"] = error.retry_after * 1000
    return frame | more


def limited_frame(wait: int) -> Frame:
    """One frame too many; `wait` ms from now there is room for another."""
    return error_frame(RateLimited(), retryAfter=wait)


def wire(frame: Frame) -> bytes:
    """The frame as it goes over the wire."""
    return framed(orjson.dumps(frame))


def framed(payload: bytes) -> bytes:
    """A text frame of a server (RFC 6455, 5.2): whole, and not masked."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
