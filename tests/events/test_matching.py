"""What names and patterns of event types mean."""

import pytest

from taskmaster.events.catalogue import EVENT_TYPES, LIVE_TYPES
from taskmaster.events.matching import UnknownTypes, matches

STEPS = {f"workflow.step.{verb}" for verb in ("started", "completed", "failed", "skipped", "waiting")}


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (["task.completed"], {"task.completed"}),
        (["task.completed", "agent.error"], {"task.completed", "agent.error"}),
        (["*"], EVENT_TYPES),
        (["*", "task.completed"], EVENT_TYPES),
        (["session.*"], {"session.created", "session.expired", "session.deleted"}),
        (["session.*", "session.created"], {"session.created", "session.expired", "session.deleted"}),
        (["workflow.step.*"], STEPS),
        (["budget.*", "webhook.*"], {"budget.reached", "webhook.disabled", "webhook.test"}),
        ([], set()),
    ],
)
def test_names_and_patterns_mean_types(names, types):
    matcher = matches(names)
    assert matcher.types == types
    assert {kind for kind in EVENT_TYPES if kind in matcher} == types


def test_a_pattern_of_workflows_has_their_steps_too():
    types = matches(["workflow.*"]).types
    assert types > STEPS
    assert types == {kind for kind in EVENT_TYPES if kind.startswith("workflow.")}


def test_names_are_kept_as_they_were_given_each_once():
    assert matches(["task.*", "agent.error", "task.*"]).names == ("task.*", "agent.error")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "task",
        "task.",
        "tas*",
        "task.q*",
        "task.**",
        "**",
        "*.queued",
        "Task.*",
        "task.*.*",
        ".*",
        "task.queued ",
    ],
)
def test_what_means_no_type_is_an_error(name):
    with pytest.raises(UnknownTypes) as raised:
        matches(["task.queued", name])
    assert raised.value.names == [name]
    assert str(raised.value) == f"{name!r} is not an event type"


def test_every_unknown_name_is_named_once():
    with pytest.raises(UnknownTypes) as raised:
        matches(["nonsense", "task.*", "tas*", "nonsense"])
    assert raised.value.names == ["nonsense", "tas*"]
    assert str(raised.value) == "'nonsense', 'tas*' are not event types"


def test_an_error_stays_short_however_much_is_unknown():
    with pytest.raises(UnknownTypes) as raised:
        matches([f"{number:03}" + "x" * 1000 for number in range(1000)])
    assert len(raised.value.names) == 1000
    assert len(str(raised.value)) < 1000
    assert "…" in str(raised.value)


@pytest.mark.parametrize("name", LIVE_TYPES)
def test_what_is_live_only_is_wanted_only_where_it_can_be_had(name):
    with pytest.raises(UnknownTypes):
        matches([name])
    everything = EVENT_TYPES | LIVE_TYPES
    assert matches([name], among=everything).types == {name}
    assert name in matches(["message.*"], among=everything)
    assert name in matches(["*"], among=everything)
    assert name not in matches(["*"])
