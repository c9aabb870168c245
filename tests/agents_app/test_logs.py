"""A task's log."""

import pytest

from agents_app import logs
from agents_app.models import LogLine, Task
from tests.api.working import claim
from tests.api.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(alice):
    world = World(alice)
    world.submit()
    (found,) = claim(world["agent"])
    return found


def shown(alice, task, query=""):
    return alice.get(f"/tasks/{task.pk}/log{query}").json()


def test_lines_are_read_oldest_first_and_paged(alice, task):
    logs.write(task, ["one", "two"])
    logs.write(task, ["three"])
    page = shown(alice, task, "?limit=2")
    assert [(line["message"], line["attempt"]) for line in page["log"]] == [("one", 1), ("two", 1)]
    rest = shown(alice, task, f"?cursor={page['pagination']['nextCursor']}")
    assert [line["message"] for line in rest["log"]] == ["three"]


def test_strange_characters_and_long_lines_are_kept_as_far_as_they_can(task):
    logs.write(task, ["a\0b", "\ud800", "x" * 20_000])
    texts = list(LogLine.objects.order_by("id").values_list("text", flat=True))
    assert texts[:2] == ["a�b", "?"]
    assert (len(texts[2]), texts[2][-1]) == (logs.LONGEST_LINE, "…")


def test_a_full_log_says_so_once(task, monkeypatch):
    monkeypatch.setattr(logs, "MOST_LINES", 3)
    for line in ("one", "two", "three", "four", "five"):
        logs.write(task, [line])
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == ["one", "two", "three", logs.CUT]


def test_a_runners_message_is_a_line(alice):
    world = World(alice)
    lease = world.lease
    body = {"leaseToken": lease["leaseToken"], "progress": 0.5, "message": "compiling"}
    assert alice.post(f"/tasks/{world.leased_task}/progress", body).status_code == 200
    task = Task.objects.get(pk=world.leased_task)
    assert [line["message"] for line in shown(alice, task)["log"]] == ["compiling"]


def test_anothers_log_is_not_found(charlie, task):
    assert charlie.get(f"/tasks/{task.pk}/log").status_code == 404
