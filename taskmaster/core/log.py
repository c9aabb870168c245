"""JSON logs with the request's, the organization's and the task's id on every line."""

import json
import logging
from contextvars import ContextVar
from typing import Any

from .clock import iso, now

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
org_id: ContextVar[str | None] = ContextVar("org_id", default=None)
task_id: ContextVar[str | None] = ContextVar("task_id", default=None)

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One line of JSON a record; what was passed as `extra` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": iso(now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "requestId": request_id.get(),
            "orgId": org_id.get(),
            "taskId": task_id.get(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({key: value for key, value in line.items() if value is not None}, default=str)
