"""Each organization in turn."""

from agents_app.fair_queue import FairQueue


def drained(queue, may=lambda org: True):
    found = []
    while (agent := queue.next(may)) is not None:
        found.append(agent)
    return found


def test_a_single_agent_waits_behind_one_of_each_organization_only():
    queue = FairQueue()
    for number in range(100):
        queue.add("a", f"a{number}")
    queue.add("b", "b0")
    queue.add("c", "c0")
    assert drained(queue)[:4] == ["a0", "b0", "c0", "a1"]
    assert len(queue) == 0


def test_the_same_agent_waits_once_and_keeps_its_place():
    queue = FairQueue()
    for agent in ("a0", "a1", "a0"):
        queue.add("a", agent)
    assert drained(queue) == ["a0", "a1"]


def test_one_that_may_not_is_passed_over_and_stays():
    queue = FairQueue()
    queue.add("a", "a0")
    queue.add("b", "b0")
    assert drained(queue, lambda org: org == "b") == ["b0"]
    assert queue.next(lambda org: True) == "a0"
