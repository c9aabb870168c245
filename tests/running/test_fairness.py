"""Ten thousand tasks of one organization, and one of another's: it starts within two seconds."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest

from agents_app.models import Task
from tests.live import Live, installation, until

from .cast import Cast
from .model import Model

PLACES = 8
# No organization gets more than three quarters of a worker's places.
SHARE = 6
BACKLOG, POSTED = 10_000, 300
SECONDS = 2.0


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One worker with few places."""
    few = {"TASKMASTER_MAX_RUNNING": str(PLACES), "TASKMASTER_DB_POOL": "8"}
    with installation(tmp_path_factory.mktemp("fairness"), **few) as live:
        yield live.start()


@pytest.fixture
def greedy(crowded: Live, model: Model) -> Iterator[Cast]:
    """The organization that has so much to do."""
    with crowded.client() as client:
        yield Cast(crowded, model, client)
    crowded.sql("UPDATE agents_app_task SET status = 'cancelled' WHERE status = 'queued'")
    model.open()


@pytest.fixture
def modest(crowded: Live) -> Iterator[httpx.Client]:
    """The organization that has one thing to do."""
    with crowded.guest(f"modest-{uuid.uuid4().hex[:6]}") as client:
        yield client


def queue_many(cast: Cast, agents: list[str], word: str, **body: str) -> None:
    """Copies of one task of each agent, put where ten thousand posts would have put them."""
    names = ", ".join(f'"{field.column}"' for field in Task._meta.concrete_fields if not field.primary_key)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BACKLOG // len(agents)})"
    about = {"type": "many", "description": f"{word} as ever"} | body
    for agent in agents:
        cast.client.post(f"/agents/{agent}/pause").raise_for_status()
        first = cast.client.post(f"/agents/{agent}/tasks", json=about).raise_for_status().json()["taskId"]
        cast.live.sql(
            f"INSERT INTO agents_app_task (id, {names}) {numbers} "
            f"SELECT substr(id, 1, 20) || (100000 + i), {names} FROM agents_app_task, n WHERE id = '{first}'"
        )
    for agent in agents:
        cast.client.post(f"/agents/{agent}/resume").raise_for_status()


@contextmanager
def posting(cast: Cast, agents: list[str], word: str) -> Iterator[None]:
    """Meanwhile some hundred more come in over REST, and each wakes the workers."""
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(cast.task, agents[n % len(agents)], f"{word} {n}") for n in range(POSTED)]
        yield
        assert all(one.result() for one in sent)


def seconds_to_start(client: httpx.Client, agent: str) -> float:
    """How long one task waits for its start, by the server's clock."""
    body = {"type": "one", "description": "just this"}
    pk = client.post(f"/agents/{agent}/tasks", json=body).raise_for_status().json()["taskId"]

    def started() -> tuple[str, str] | None:
        task = client.get(f"/tasks/{pk}").raise_for_status().json()["task"]
        return (task["createdAt"], task["startedAt"]) if task["startedAt"] else None

    created, began = (datetime.fromisoformat(moment) for moment in until(started, 30))
    return (began - created).total_seconds()


def waits(client: httpx.Client) -> list[float]:
    """Those of some tasks, one now and then."""
    body = {"name": "one", "type": "custom", "backend": "echo"}
    agent = client.post("/agents", json=body).raise_for_status().json()["agent"]["id"]
    found = []
    for _ in range(5):
        found.append(seconds_to_start(client, agent))
        time.sleep(0.2)
    return found


@pytest.mark.parametrize("limit", [None, 1], ids=["apart", "in one session"])
def test_a_backlog_that_is_being_worked_off_delays_nobody_else(
    greedy: Cast, modest: httpx.Client, limit: int | None
) -> None:
    word, _ = greedy.plan()
    agents = [greedy.live.echo_agent(100) for _ in range(3)] + [greedy.agent(100) for _ in range(3)]
    session = {"sessionId": greedy.session(agents[0], maxConcurrentTasks=limit)} if limit else {}
    queue_many(greedy, agents, word, **session)
    with posting(greedy, agents, word):
        found = waits(modest)
    assert max(found) < SECONDS


def test_a_backlog_that_stands_still_keeps_nobody_else_from_a_place(greedy: Cast, modest: httpx.Client) -> None:
    word, _ = greedy.plan(go=greedy.gate())
    agents = [greedy.agent(100) for _ in range(4)]
    queue_many(greedy, agents, word)
    until(lambda: running(greedy, word) == SHARE)
    with posting(greedy, agents, word):
        found = waits(modest)
    assert max(found) < SECONDS
    assert running(greedy, word) == SHARE


def running(cast: Cast, word: str) -> int:
    """How many the model is being asked at this moment."""
    return sum(call.content.startswith(word) and call.ended is None for call in cast.model.calls)
