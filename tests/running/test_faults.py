"""Redis and PostgreSQL go away for a moment, again and again: nothing is lost."""

import time
from functools import partial

import pytest

from tests.live import SERVICES, until

from .cast import Cast, at_once, events_of
from .faults import cut_database, cut_redis, forget_everything
from .ledger import all_events
from .model import answer_to
from .work import Poster, Work

pytestmark = pytest.mark.skipif(not SERVICES, reason="the services are PostgreSQL and Redis")


def check_it_works(cast: Cast) -> None:
    """A stream tells a whole answer, piece by piece: queue, wake-ups and database all do."""
    word, _ = cast.plan(pieces=4, pause=0.05)
    session = cast.session(cast.agent())
    headers = {"Accept": "text/event-stream"}
    began = time.monotonic()
    with cast.client.stream("POST", f"/sessions/{session}/messages", json={"content": word}, headers=headers) as answer:
        heard = list(events_of(answer))
    assert [name for name, _ in heard] == ["delta"] * 4 + ["completed"]
    assert heard[-1][1]["response"]["content"] == answer_to(word, 4)
    assert time.monotonic() - began < 5


def test_redis_forgets_everything_and_nothing_is_lost(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    agent = cast.agent()
    sessions = [cast.session(agent) for _ in range(4)]
    waiting = at_once(*(partial(cast.say, session, word) for session in sessions))
    work = Work(cast).begin()
    for _ in range(4):
        assert cut_redis(cast.live) > 0
        forget_everything(cast.live)
        assert cast.client.get("/agents").status_code == 200
        time.sleep(0.3)
    plan.go.set()
    answers = [future.result() for future in waiting]
    assert [answer.status_code for answer in answers] == [200] * 4
    work.finish(40)
    work.check(all_events(cast))
    check_it_works(cast)


def test_database_connections_end_and_nothing_is_lost(cast: Cast) -> None:
    work = Work(cast).begin()
    poster = Poster(cast)
    for _ in range(3):
        assert cut_database(cast.live) > 0
        time.sleep(0.5)
    until(lambda: len(poster.accepted) > 5)
    poster.repeat()
    work.finish(40)
    work.check(all_events(cast))
    poster.check()
    check_it_works(cast)
