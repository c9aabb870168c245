"""Logs: one line of JSON a record, whatever it carries."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from taskmaster.core import log

Written = Callable[..., dict[str, Any]]


@pytest.fixture
def written() -> Written:
    """Format a record; it must be one line, and JSON as every reader takes it."""

    def write(message: str = "hello", *args: Any, exc_info: Any = None, **extra: Any) -> dict[str, Any]:
        logger = logging.getLogger("test.log")
        record = logger.makeRecord("test.log", logging.WARNING, "f.py", 1, message, args, exc_info, extra=extra)
        line = log.JsonFormatter().format(record)
        assert "\n" not in line
        found: dict[str, Any] = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
        return found

    return write


@pytest.fixture
def told() -> Iterator[Callable[[ContextVar[str | None], str], None]]:
    tokens = []
    yield lambda variable, value: tokens.append((variable, variable.set(value)))
    for variable, token in tokens:
        variable.reset(token)


def test_a_line_has_a_time_a_level_a_logger_and_a_message_and_nothing_more(written: Written) -> None:
    line = written("%s of %d", "one", 2)
    moment = line.pop("time")
    assert line == {"level": "warning", "logger": "test.log", "message": "one of 2"}
    assert len(moment) == len("2026-01-01T00:00:00.000Z")
    assert moment.endswith("Z")


def test_the_time_is_when_it_happened_not_when_it_was_written() -> None:
    record = logging.makeLogRecord({"msg": "late", "created": 1_700_000_000.25})
    assert json.loads(log.JsonFormatter().format(record))["time"] == "2023-11-14T22:13:20.250Z"


def test_a_line_names_the_request_the_organization_and_the_task(written: Written, told: Any) -> None:
    told(log.request_id, "req_1")
    told(log.org_id, "org_1")
    told(log.task_id, "task_1")
    line = written()
    assert (line["requestId"], line["orgId"], line["taskId"]) == ("req_1", "org_1", "task_1")


def test_an_id_given_with_the_record_says_more_than_the_context(written: Written, told: Any) -> None:
    told(log.task_id, "task_1")
    assert written(taskId="task_2")["taskId"] == "task_2"


def test_an_exception_is_on_the_same_line(written: Written) -> None:
    try:
        raise KeyError("missing\nkey")
    except KeyError:
        line = written(exc_info=sys.exc_info())
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("KeyError: 'missing\\nkey'")


def test_extras_become_members_but_never_take_the_place_of_what_every_line_has(written: Written) -> None:
    line = written(attempt=3, event={"id": "evt_1"}, nothing=None, level="fake", time="never", logger="other")
    assert line["attempt"] == 3
    assert line["event"] == {"id": "evt_1"}
    assert "nothing" not in line
    assert (line["level"], line["logger"]) == ("warning", "test.log")
    assert line["time"] != "never"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        (b"\xff", "b'\\xff'"),
        ({1}, "{1}"),
        ({("a", 1): 2}, "{('a', 1): 2}"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (circle(), "[[...]]"),
        (Mute(), "<Mute>"),
        ([Mute()], ["<Mute>"]),
        ("half \ud800", "half \ud800"),
        (ValueError("no"), "no"),
    ],
)
def test_an_odd_extra_is_shown_as_well_as_it_can_be(written: Written, odd: Any, shown: Any) -> None:
    line = written(odd=odd, good="kept")
    assert line["odd"] == shown
    assert line["good"] == "kept"
    assert line["message"] == "hello"


def test_an_extra_that_is_too_deep_to_be_shown_is_named(written: Written) -> None:
    assert written(odd=deep())["odd"] == "<list>"


def test_line_breaks_in_a_message_forge_no_second_line(written: Written) -> None:
    assert written('a\n{"level": "error"}\r\u2028b')["message"] == 'a\n{"level": "error"}\r\u2028b'


@pytest.mark.parametrize(("status", "kept"), [(500, True), (502, False), (503, False), (None, True)])
def test_an_agents_failure_is_no_fault_of_the_server(status, kept):
    entry = logging.makeLogRecord({"msg": "said", **({} if status is None else {"status_code": status})})
    assert log.OnlyFaults().filter(entry) is kept
