"""The planner: no step starts early or twice, every history ends, and looking at less decides the same."""

import time
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_app.graph import ALL_SKIPPED, DOES_NOT_HOLD, ENDED, Node, Plan, dependents, plan


def node(id, *needs, status="pending", **more):
    return Node(id, status, needs, **more)


def always(id):
    return True


def refuse(id):
    raise AssertionError(f"{id} was looked at")


# -- The rules, one by one


def test_what_depends_on_nothing_starts_in_the_templates_order():
    assert plan([node("b"), node("a"), node("c", "b")], always) == Plan(start=("b", "a"))


def test_a_step_waits_for_all_that_it_depends_on():
    steps = [node("a", status="completed"), node("b", status="running"), node("c", "a", "b")]
    assert plan(steps, always) == Plan()
    assert plan([steps[0], replace(steps[1], status="completed"), steps[2]], always) == Plan(start=("c",))


@pytest.mark.parametrize("status", ["running", "waiting"])
def test_what_runs_or_waits_is_left_alone(status):
    assert plan([node("a", status=status), node("b", "a")], refuse) == Plan()


def test_a_failed_step_skips_its_dependents_and_theirs():
    steps = [node("a", status="failed"), node("b", "a"), node("c", "b"), node("x", status="completed"), node("y", "x")]
    assert plan(steps, always) == Plan(start=("y",), skip=(("b", "a failed."), ("c", ALL_SKIPPED)))


def test_a_step_that_failed_but_lets_go_on_does_not():
    steps = [node("a", status="failed", on_failure="continue"), node("b", "a")]
    assert plan(steps, always) == Plan(start=("b",))


def test_a_cancelled_step_skips_its_dependents_whatever_its_on_failure():
    steps = [node("a", status="cancelled", on_failure="continue"), node("b", "a")]
    assert plan(steps, refuse) == Plan(skip=(("b", "a was cancelled."),), outcome="completed")


def test_a_join_runs_where_one_arm_was_skipped_and_not_where_all_were():
    steps = [node("a", status="completed"), node("b", status="skipped"), node("join", "a", "b")]
    assert plan(steps, always) == Plan(start=("join",))
    both = [replace(steps[0], status="skipped"), *steps[1:]]
    assert plan(both, always) == Plan(skip=(("join", ALL_SKIPPED),), outcome="completed")


def test_a_join_is_blocked_by_one_failed_arm():
    steps = [node("a", status="completed"), node("b", status="failed"), node("join", "a", "b")]
    assert plan(steps, always) == Plan(skip=(("join", "b failed."),), outcome="failed")


def test_a_false_condition_skips_those_without_a_when_and_asks_the_others():
    steps = [
        node("gate", status="completed", gate=False),
        node("good", "gate"),
        node("bad", "gate", guarded=True),
        node("join", "good", "bad"),
    ]
    assert plan(steps, always) == Plan(start=("bad",), skip=(("good", "gate is false."),))
    asked = []
    assert plan(steps, lambda id: bool(asked.append(id))) == Plan(
        skip=(("good", "gate is false."), ("bad", DOES_NOT_HOLD), ("join", ALL_SKIPPED)), outcome="completed"
    )
    assert asked == ["bad"]


def test_the_reasons_are_sentences():
    assert ALL_SKIPPED == "Everything that it depends on was skipped."
    assert DOES_NOT_HOLD == "Its condition does not hold."


def test_a_true_condition_lets_all_go_on():
    steps = [node("gate", status="completed", gate=True), node("good", "gate"), node("bad", "gate", guarded=True)]
    assert plan(steps, lambda id: False) == Plan(start=("good",), skip=(("bad", DOES_NOT_HOLD),))


def test_a_when_that_cannot_be_evaluated_fails_its_step_and_skips_what_follows():
    steps = [node("a", guarded=True), node("b", "a"), node("c")]
    assert plan(steps, lambda id: "when: no such variable") == Plan(
        start=("c",), skip=(("b", "a failed."),), fail=(("a", "when: no such variable"),)
    )
    alone = [node("a", guarded=True, on_failure="continue"), node("b", "a")]
    assert plan(alone, lambda id: "broken") == Plan(start=("b",), fail=(("a", "broken"),))


def test_a_when_is_asked_only_of_a_step_that_could_start():
    steps = [node("a", status="failed"), node("b", "a", guarded=True), node("x", status="running")]
    assert plan([*steps, node("y", "x", guarded=True)], refuse) == Plan(skip=(("b", "a failed."),))


def test_the_outcome_is_failed_only_where_a_failure_counts():
    assert plan([node("a", status="failed")], always).outcome == "failed"
    assert plan([node("a", status="failed", on_failure="continue")], always).outcome == "completed"
    assert plan([node("a", status="failed"), node("b", status="running")], always).outcome is None
    assert plan([node("a", guarded=True)], lambda id: "broken").outcome == "failed"
    assert plan([], always).outcome == "completed"


# -- Looking at the dependents only


def test_a_partial_plan_looks_at_dependents_only():
    steps = [node("a", status="completed"), node("b", "a"), node("c", guarded=True), node("d", "b", guarded=True)]
    assert plan(steps, refuse, changed={"a"}, unfinished=3, failed=lambda: False) == Plan(start=("b",))


def test_a_partial_plan_needs_no_more_than_what_dependents_gives():
    steps = [node("a", status="completed"), node("b", status="running"), node("c", "a", "b"), node("d", "c")]
    others = [node(f"x{n}", *([f"x{n - 1}"] if n else [])) for n in range(100)]
    few = dependents([*others, *steps], {"a"})
    assert {found.id for found in few} == {"a", "b", "c", "d"}
    assert plan(few, always, changed={"a"}, unfinished=103, failed=lambda: False) == Plan()


def test_a_partial_plan_asks_for_earlier_failures_at_the_end_only():
    last = [node("a", status="completed")]
    assert plan(last, always, changed={"a"}, unfinished=0, failed=lambda: True).outcome == "failed"
    assert plan(last, always, changed={"a"}, unfinished=0, failed=lambda: False).outcome == "completed"
    assert plan(last, always, changed={"a"}, unfinished=1, failed=refuse_to_say).outcome is None


def refuse_to_say():
    raise AssertionError("asked too early")


def test_knowing_how_many_are_left_but_not_whether_one_failed_is_an_error():
    with pytest.raises(TypeError):
        plan([node("a", status="completed")], always, changed={"a"}, unfinished=0)


def test_a_dependency_that_was_not_loaded_is_an_error_and_not_a_standstill():
    with pytest.raises(KeyError):
        plan([node("a", status="completed"), node("b", "a", "z")], always, changed={"a"})


# -- The cost


def test_a_long_chain_is_skipped_in_one_call():
    chain = [node("s0", status="failed"), *(node(f"s{n}", f"s{n - 1}") for n in range(1, 5_000))]
    planned = plan(chain, always)
    assert (len(planned.skip), planned.outcome) == (4_999, "failed")


def test_the_cost_grows_with_the_edges_and_not_with_their_square():
    # Each of the chain is also an edge of the join: looking at the join anew for each would be 10^8 looks.
    count = 10_000
    chain = [node("s0", status="failed"), *(node(f"s{n}", f"s{n - 1}") for n in range(1, count))]
    began = time.monotonic()
    planned = plan([*chain, node("join", *(f"s{n}" for n in range(count)))], always)
    assert planned.skip[-1] == ("join", "s0 failed.")
    assert time.monotonic() - began < 5


# -- Any history


@dataclass
class World:
    """A workflow that is run by plans; `log` has all that happened, in its order."""

    steps: dict[str, Node]
    verdicts: dict[str, bool | str]
    log: list[tuple[str, str]]

    def holds(self, id):
        return self.verdicts[id]

    def plan(self, changed=None):
        """Plan, and do what the plan says."""
        everything = list(self.steps.values())
        if changed is None:
            planned = plan(everything, self.holds)
        else:
            left = sum(step.status not in ENDED for step in everything)
            planned = plan(
                dependents(everything, changed), self.holds, changed=changed, unfinished=left, failed=self.has_failed
            )
        decided = [*planned.start, *(id for id, _ in planned.skip + planned.fail)]
        assert len(set(decided)) == len(decided)
        assert all(self.steps[id].status == "pending" for id in decided)
        for id, _ in planned.skip:
            self.move(id, "skipped")
        for id, _ in planned.fail:
            self.move(id, "failed")
        for id in planned.start:
            self.check_start(id)
            self.move(id, "running")
        return planned

    def has_failed(self):
        return any(step.status == "failed" and step.on_failure == "fail" for step in self.steps.values())

    def move(self, id, status, gate=None):
        self.log.append((id, status))
        self.steps[id] = replace(self.steps[id], status=status, gate=gate)

    def check_start(self, id):
        """A step starts once, after all it depends on, of which none forbids it."""
        assert (id, "running") not in self.log
        needed = [self.steps[need] for need in self.steps[id].depends_on]
        assert all(need.status in ("completed", "failed", "skipped") for need in needed)
        assert all(need.on_failure == "continue" for need in needed if need.status == "failed")
        assert not needed or any(need.status != "skipped" for need in needed)
        guarded = self.steps[id].guarded
        assert guarded or not any(need.gate is False for need in needed if need.status == "completed")
        assert not guarded or self.verdicts[id] is True

    def running(self):
        return [step.id for step in self.steps.values() if step.status == "running"]


# A step: which of the earlier ones it depends on, as bits; its onFailure; whether it has a `when`, and what that says.
STEP = st.tuples(
    st.integers(0, 255),
    st.sampled_from(["fail", "fail", "continue"]),
    st.sampled_from([None, None, True, True, False, "it is broken"]),
)
# Which of the running steps end, one or two at once, how, and what a condition among them came to.
END = st.tuples(
    st.integers(0, 7),
    st.booleans(),
    st.sampled_from(["completed", "completed", "completed", "failed", "cancelled", "skipped"]),
    st.sampled_from([None, True, False]),
)


def workflow_of(drawn, turn):
    """The steps, listed from the `turn`th on, and what their `when` comes to."""
    steps = [
        node(f"s{at}", *(f"s{n}" for n in range(at) if bits >> n & 1), on_failure=on_failure, guarded=says is not None)
        for at, (bits, on_failure, says) in enumerate(drawn)
    ]
    verdicts = {f"s{at}": says for at, (_, _, says) in enumerate(drawn)}
    return steps[turn:] + steps[:turn], verdicts


def run(steps, verdicts, ends, *, partly):
    """The world at its end, and its outcome."""
    world = World({step.id: step for step in steps}, verdicts, [])
    outcome = world.plan().outcome
    for which, both, how, gate in ends:
        if outcome:
            break
        running = world.running()
        ended = {running[which % len(running)], *(running[-1:] if both else [])}
        for id in sorted(ended):
            world.move(id, how, gate if how == "completed" else None)
        planned = world.plan(ended if partly else None)
        outcome = planned.outcome
        again = plan(world.steps.values(), world.holds)
        assert again == Plan(outcome=outcome), "a second look must find nothing"
    return world, outcome


@settings(max_examples=200, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8), st.lists(END, min_size=8, max_size=8), st.integers(0, 7))
def test_every_history_is_legal_and_ends_and_looking_at_dependents_only_makes_the_same_one(drawn, ends, turn):
    steps, verdicts = workflow_of(drawn, turn)
    whole, outcome = run(steps, verdicts, ends, partly=False)
    assert all(step.status in ENDED for step in whole.steps.values())
    assert outcome == ("failed" if whole.has_failed() else "completed")
    partial, same = run(steps, verdicts, ends, partly=True)
    assert (partial.log, same) == (whole.log, outcome)


@pytest.mark.parametrize("first", ["left", "right"])
@pytest.mark.parametrize("partly", [False, True])
def test_a_diamond_joins_once(first, partly):
    steps = [node("top"), node("left", "top"), node("right", "top"), node("join", "left", "right")]
    world = World({step.id: step for step in steps}, {}, [])
    world.plan()
    for id in ("top", first, "right" if first == "left" else "left", "join"):
        assert ("join", "running") not in world.log or id == "join"
        world.move(id, "completed")
        world.plan({id} if partly else None)
    assert [entry for entry in world.log if entry[0] == "join"] == [("join", "running"), ("join", "completed")]


def test_a_diamond_whose_arms_end_together_joins_once():
    steps = [node("left", status="completed"), node("right", status="completed"), node("join", "left", "right")]
    planned = plan(steps, always, changed={"left", "right"}, unfinished=1, failed=lambda: False)
    assert planned == Plan(start=("join",))
