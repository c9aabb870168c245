"""Calls go out after the commit, or not at all; each stands once, one worker takes it, and Redis breaks nothing."""

import time
import uuid
from collections import Counter

import pytest
import redis
from django.conf import settings
from django.db import transaction

from taskmaster.core import calls
from tests.api.racing import at_once
from tests.live import until

SERVICES = pytest.mark.skipif(not settings.REDIS_URL, reason="calls are for other processes, and there are none")


@pytest.fixture
def sent(monkeypatch):
    keys = []
    monkeypatch.setattr(calls, "_send", keys.append)
    return keys


@pytest.fixture
def queue(monkeypatch):
    """A queue of this test's own."""
    key = f"test:calls:{uuid.uuid4().hex}"
    monkeypatch.setattr(calls, "KEY", key)
    yield key
    calls._redis().delete(key)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_commit(sent):
    with transaction.atomic():
        calls.call("agent_1")
        with transaction.atomic():
            calls.call("agent_2")
        assert sent == []
    assert sent == ["agent_1", "agent_2"]


@pytest.mark.django_db(transaction=True)
def test_a_rollback_sends_nothing_of_what_it_took_back(sent):
    with transaction.atomic():
        calls.call("kept")
        with transaction.atomic():
            calls.call("undone")
            transaction.set_rollback(True)
    assert sent == ["kept"]


def test_a_flood_of_one_travels_together_and_holds_up_no_other(sent):
    sluice = calls.Sluice()
    for _ in range(1000):
        sluice.send("flood")
    sluice.send("other")
    assert sent.count("flood") < 1000
    assert sent.count("other") == 1
    # What came last has its call, too.
    before = sent.count("flood")
    until(lambda: sent.count("flood") > before, 5)
    time.sleep(0.05)
    assert sent.count("flood") == before + 1


@SERVICES
def test_a_call_stands_once_and_the_first_is_taken_first(queue):
    for key in ("a", "b", "a", "c", "b"):
        calls._send(key)
    assert [calls.take(0.1) for _ in range(4)] == ["a", "b", "c", None]


@SERVICES
def test_a_call_that_was_put_back_is_taken_again(queue):
    calls._send("a")
    assert calls.take(1) == "a"
    calls.put_back("a")
    assert calls.take(1) == "a"


@SERVICES
def test_every_call_is_taken_by_one(queue):
    expected = {f"agent_{number}" for number in range(200)}
    for key in expected:
        calls._send(key)

    def take_all():
        mine = []
        while key := calls.take(0.3):
            mine.append(key)
        return mine

    taken = Counter(key for mine in at_once(*[take_all] * 8) for key in mine)
    assert taken == Counter(expected)


@SERVICES
def test_whoever_waits_hears_of_a_call_at_once(queue):
    def call_late():
        time.sleep(0.3)
        calls._send("a")

    begun = time.monotonic()
    assert at_once(lambda: calls.take(10), call_late)[0] == "a"
    assert time.monotonic() - begun < 5


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_is_away_fails_nobody_and_is_told_to_the_log(monkeypatch, caplog):
    class Away:
        def zadd(self, *_, **__):
            raise redis.ConnectionError("secret@redis")

    monkeypatch.setattr(settings, "REDIS_URL", "redis://away")
    monkeypatch.setattr(calls, "_redis", Away)
    with transaction.atomic():
        calls.call(f"agent_{uuid.uuid4().hex}")
    [record] = caplog.records
    assert record.getMessage() == "call not sent, the sweep will repeat it: ConnectionError"
