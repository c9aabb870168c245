"""Waiting is free: no thread, no database connection."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tests.live import SERVICES, Live, until

from .cast import Cast

MANY = 200


def threads(live: Live) -> int:
    """Of all the processes that answer HTTP."""
    return sum(len(os.listdir(f"/proc/{live.pid(name)}/task")) for name in live.names("web"))


def database_connections(live: Live) -> int:
    """Those of the whole installation, or the open files of the one database."""
    if SERVICES:
        with psycopg.connect(live.env["DATABASE_URL"]) as database:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            return int(database.execute(query).fetchone()[0]) - 1  # type: ignore[index]
    files = Path(f"/proc/{live.pid('web0')}/fd").iterdir()
    return sum(os.path.realpath(file).endswith("taskmaster.sqlite3") for file in files)


def held(live: Live) -> list[int]:
    """How many requests each process that answers HTTP last said that it holds."""
    pids = ",".join(str(live.pid(name)) for name in live.names("web"))
    return [count for (count,) in live.sql(f"SELECT connections FROM monitoring_webserver WHERE pid IN ({pids})")]


def fill_the_pools(cast: Cast) -> None:
    """As many requests as use every thread there may be."""
    with ThreadPoolExecutor(48) as pool:
        list(pool.map(lambda _: cast.client.get("/agents").raise_for_status(), range(300)))


def test_two_hundred_wait_for_a_paused_agent_and_hold_nothing(cast: Cast) -> None:
    word, _ = cast.plan()
    agent = cast.agent(limit=8)
    cast.client.post(f"/agents/{agent}/pause").raise_for_status()
    sessions = [cast.session(agent, timeout=60_000) for _ in range(20)]
    fill_the_pools(cast)
    threads_before, connections_before = threads(cast.live), database_connections(cast.live)
    waiting = [cast.hang(session, f"{word} {n}") for n in range(MANY // 20) for session in sessions]
    until(lambda: cast.waiting() >= MANY, 10)

    assert all(held(cast.live)), "one process holds all"
    assert threads(cast.live) < threads_before + MANY // 20
    assert database_connections(cast.live) < connections_before + MANY // 20
    began = time.monotonic()
    for _ in range(20):
        cast.client.get("/agents").raise_for_status()
    assert time.monotonic() - began < 4

    cast.client.post(f"/agents/{agent}/resume").raise_for_status()
    answers = [connection.getresponse() for connection in waiting]
    assert [answer.status for answer in answers] == [200] * MANY
    assert len({answer.read() for answer in answers}) == MANY
    for connection in waiting:
        connection.close()
    calls = [call.content for call in cast.model.calls if call.content.startswith(word)]
    assert len(calls) == MANY
    until(lambda: cast.waiting() <= 1, 8)


def test_a_wait_is_woken_by_whichever_process_has_the_answer(cast: Cast) -> None:
    session = cast.session(cast.live.echo_agent())
    assert cast.say(session, "once").status_code == 200
    began = time.monotonic()
    answers = [cast.say(session, f"{n}") for n in range(10)]
    # Without a signal each would wait for the next sweep: a second.
    assert time.monotonic() - began < 8
    assert [answer.json()["response"]["content"] for answer in answers] == [f"{n}" for n in range(10)]
