"""An agent whose configuration nobody can read any more: its work fails at once, and a new configuration mends it."""

from typing import Any

from agents_app.backends.unreadable import REASON
from tests.live import until

from .cast import FINISHED, Cast
from .model import answer_to


def test_a_task_of_an_agent_with_a_lost_configuration_fails_until_it_has_a_new_one(cast: Cast) -> None:
    word, _ = cast.plan()
    agent = cast.agent(limit=1)
    cast.live.sql(f"UPDATE agents_app_agent SET config = 'sealed with a lost key' WHERE id = '{agent}'")
    tasks = [cast.task(agent, f"{word} {number}") for number in range(5)]
    for task in tasks:
        found = ended(cast, task)
        assert (found["status"], found["error"], found["attempts"]) == ("failed", REASON, 1)
    assert cast.client.patch(f"/agents/{agent}", json={"config": cast.model.config}).status_code == 200
    assert cast.client.post(f"/tasks/{tasks[0]}/retry").status_code == 200
    found = ended(cast, tasks[0])
    assert (found["status"], found["result"]["content"]) == ("completed", answer_to(f"{word} 0"))
    assert cast.task_now(tasks[1])["status"] == "failed"


def ended(cast: Cast, task: str) -> dict[str, Any]:
    """The task once it has ended."""
    until(lambda: cast.task_now(task)["status"] in FINISHED)
    return cast.task_now(task)
