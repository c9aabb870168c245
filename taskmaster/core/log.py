"""JSON logs with the request's, the organization's and the task's id on every line."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from .clock import iso

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
org_id: ContextVar[str | None] = ContextVar("org_id", default=None)
task_id: ContextVar[str | None] = ContextVar("task_id", default=None)

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OWN = {"time", "level", "logger", "message", "exception"}


class OnlyFaults(logging.Filter):
    """Keeps what is wrong with the server: an agent that failed or is missing is news for its caller alone."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        return getattr(record, "status_code", None) not in (502, 503)


class JsonFormatter(logging.Formatter):
    """One line of JSON a record; what was passed as `extra` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {"requestId": request_id.get(), "orgId": org_id.get(), "taskId": task_id.get()}
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        # Whatever `extra` says, a line has a time, a level, a logger and a message of its own.
        line = {
            "time": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | {key: value for key, value in line.items() if value is not None and key not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encoded(line)


def _encoded(line: dict[str, Any]) -> str:
    try:
        return json.dumps(line, default=_text, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        # NaN, a key that is no string, a list that holds itself: as text, rather than no line at all.
        return json.dumps({key: value if isinstance(value, str) else _text(value) for key, value in line.items()})


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
