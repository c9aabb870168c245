"""Frames: what clients may send, and the errors they get."""

import time
from collections import deque
from typing import Any

import orjson

from taskmaster.core import strict_json
from taskmaster.core.errors import ApiError, BadRequest

LONGEST_REF = 200
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Frame = dict[str, Any]


class UnknownFrame(BadRequest):
    """A frame of a type that there is not."""

    code, message = "unknown_type", "There is no such type of frame."


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


def ref_of(frame: Frame) -> dict[str, Any]:
    """The client's own mark, for the answer to carry."""
    ref = frame.get("ref")
    fits = isinstance(ref, int | float) or (isinstance(ref, str) and len(ref) <= LONGEST_REF)
    return {"ref": ref} if fits and not isinstance(ref, bool) else {}


def error_frame(error: ApiError, **more: Any) -> Frame:
    """What an error looks like on a socket."""
    details = {"details": error.details} if error.details else {}
    return {"type": "error", "code": error.code, "error": str(error), **details, **more}


def encoded(frame: Frame) -> str:
    """The frame's text."""
    return orjson.dumps(frame).decode()


class Allowance:
    """How many frames a connection may send in a window that slides."""

    __slots__ = ("_most", "_seconds", "_sent")

    def __init__(self, rate: str) -> None:
        most, _, window = rate.partition("/")
        self._most, self._seconds = int(most), int(window[:-1]) * _SECONDS[window[-1]]
        self._sent: deque[float] = deque()

    def take(self) -> int:
        """Count a frame: 0 where it may pass, else the milliseconds until one may again."""
        moment = time.monotonic()
        while self._sent and self._sent[0] <= moment - self._seconds:
            self._sent.popleft()
        if len(self._sent) < self._most:
            self._sent.append(moment)
            return 0
        return max(1, round((self._sent[0] + self._seconds - moment) * 1000))
