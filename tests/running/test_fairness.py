"""Ten thousand tasks of one organization, and another's single task: it starts within two seconds."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx
import pytest

from agents_app.models import Task
from tests.live import Live, installation, until

from .cast import Cast
from .model import Model

PLACES = 8
# Of them one organization may have three quarters.
SHARE = 6
BACKLOG, POSTED, AGENTS = 10_000, 400, 10
SECONDS = 2.0


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One worker with few places."""
    with installation(tmp_path_factory.mktemp("fairness"), TASKMASTER_MAX_RUNNING=str(PLACES)) as live:
        yield live.start()


@pytest.fixture
def greedy(crowded: Live, model: Model) -> Iterator[Cast]:
    """The organization that has so much to do."""
    with crowded.client() as client:
        yield Cast(crowded, model, client)
    model.open()
    crowded.sql("UPDATE agents_app_task SET status = 'cancelled' WHERE status = 'queued'")


@pytest.fixture
def modest(crowded: Live) -> Iterator[httpx.Client]:
    """The organization that has one thing to do."""
    with crowded.guest(f"modest-{uuid.uuid4().hex[:6]}") as client:
        yield client


def queue_many(cast: Cast, agents: list[str]) -> None:
    """So many copies of a first task of each agent, as if they had all been posted."""
    names = ", ".join(f'"{field.column}"' for field in Task._meta.concrete_fields if not field.primary_key)
    for agent in agents:
        cast.client.post(f"/agents/{agent}/pause").raise_for_status()
        first = cast.task(agent, cast_word(cast, agent))
        cast.live.sql(
            f"INSERT INTO agents_app_task (id, {names}) "
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {BACKLOG // len(agents)}) "
            f"SELECT substr(id, 1, 20) || (100000 + i), {names} FROM agents_app_task, n WHERE id = '{first}'"
        )
        cast.client.post(f"/agents/{agent}/resume").raise_for_status()


def cast_word(cast: Cast, agent: str) -> str:
    """What its tasks say."""
    return f"{agent} of the backlog"
