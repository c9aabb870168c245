"""Work is sent to the workers after the commit, or not at all, and the broker can break nothing."""

from typing import Any

import pytest
from django.db import transaction

from taskmaster.core.queue import enqueue

pytestmark = pytest.mark.django_db(transaction=True)


class Work:
    """What `enqueue` needs of a Celery task."""

    name = "agents.work"

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.error = error

    def apply_async(self, **options: Any) -> None:
        self.sent.append(options)
        if self.error:
            raise self.error


def test_nothing_is_sent_before_the_commit() -> None:
    work = Work()
    with transaction.atomic():
        enqueue(work, "agent_1")  # type: ignore[arg-type]
        with transaction.atomic():
            enqueue(work, "agent_2")  # type: ignore[arg-type]
        assert work.sent == []
    assert [options["args"] for options in work.sent] == [("agent_1",), ("agent_2",)]


def test_a_rollback_sends_nothing_of_what_it_took_back() -> None:
    work = Work()
    with transaction.atomic():
        enqueue(work, "kept")  # type: ignore[arg-type]
        with transaction.atomic():
            enqueue(work, "undone")  # type: ignore[arg-type]
            transaction.set_rollback(True)
    assert [options["args"] for options in work.sent] == [("kept",)]
    with transaction.atomic():
        enqueue(work, "undone")  # type: ignore[arg-type]
        transaction.set_rollback(True)
    assert len(work.sent) == 1


def test_outside_of_a_transaction_it_is_sent_at_once_and_tried_once() -> None:
    work = Work()
    enqueue(work, "agent_1", 2)  # type: ignore[arg-type]
    assert work.sent == [{"args": ("agent_1", 2), "retry": False, "ignore_result": True}]


@pytest.mark.parametrize("error", [ConnectionError("secret@broker"), TimeoutError(), RuntimeError()])
def test_a_broker_that_is_away_fails_nobody_and_is_told_to_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    broken, working = Work(error), Work()
    with transaction.atomic():
        enqueue(broken, "agent_1")  # type: ignore[arg-type]
        enqueue(working, "agent_2")  # type: ignore[arg-type]
    assert len(broken.sent) == len(working.sent) == 1
    [record] = caplog.records
    assert record.getMessage() == f"wake-up not sent, the sweep will repeat it: {type(error).__name__}"
    assert record.__dict__["task"] == "agents.work"
