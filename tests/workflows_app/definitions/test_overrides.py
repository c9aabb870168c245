"""`stepData`: what it may change about a template's steps."""

import pytest

from workflows_app.definitions import check_overrides, read_steps, with_overrides

STEPS, _ = read_steps(
    [
        {"id": "a", "name": "A", "type": "agent", "prompt": "do"},
        {"id": "w", "name": "W", "type": "wait", "duration": 5, "dependsOn": ["a"]},
        {
            "id": "each",
            "name": "Each",
            "type": "foreach",
            "dependsOn": ["w"],
            "items": "steps.a.result.json",
            "step": {"prompt": "{{ item }}", "timeout": 5_000},
        },
    ]
)


def overridden(**step_data):
    found, wrong = with_overrides(STEPS, step_data)
    assert wrong == []
    return {step["id"]: step for step in found}


def test_without_overrides_the_steps_are_the_templates():
    assert with_overrides(STEPS, {}) == (STEPS, [])


def test_the_references_example():
    assert overridden(a={"priority": "high"})["a"] == STEPS[0] | {"priority": "high"}


def test_everything_but_id_type_and_dependencies_can_be_overridden():
    changes = {"name": "B", "prompt": "other {{ context.x }}", "agentType": "custom", "retries": 3, "when": "context.x"}
    changes |= {
        "timeout": 9_000,
        "onFailure": "continue",
        "capabilities": ["x"],
        "executes": True,
        "agentId": "agent_1",
    }
    found = overridden(a=changes | {"id": "z", "type": "wait", "dependsOn": ["w"]})["a"]
    assert {name: found[name] for name in changes} == changes
    assert (found["id"], found["type"], found["dependsOn"]) == ("a", "agent", [])


def test_what_is_no_member_is_data_for_prompts():
    assert overridden(a={"note": {"x": [1]}, "url": "x"})["a"] == STEPS[0]


def test_null_is_the_default_again():
    assert overridden(each={"parallel": None})["each"]["parallel"] == 5
    assert overridden(a=None)["a"] == STEPS[0]


def test_one_of_two_takes_the_others_place():
    found = overridden(w={"until": "2030-01-01T00:00:00Z"})["w"]
    assert (found.get("duration"), found["until"]) == (None, "2030-01-01T00:00:00Z")
    assert overridden(w={"duration": 6})["w"]["duration"] == 6


def test_of_a_foreach_members_of_the_inner_step():
    inner = overridden(each={"step": {"priority": "low"}})["each"]["step"]
    assert (inner["priority"], inner["timeout"], inner["prompt"]) == ("low", 5_000, "{{ item }}")


@pytest.mark.parametrize(
    ("step_data", "field", "message"),
    [
        ({"b": {}}, "b", "the template has no step 'b'"),
        ({"x" * 100: {}}, "x" * 64, f"the template has no step '{'x' * 64}'"),
        ({"a": 5}, "a", "must be an object"),
        ({"a": []}, "a", "must be an object"),
        ({"a": {"priority": "highest"}}, "a.priority", "must be one of low, normal, high, urgent"),
        ({"a": {"prompt": None}}, "a.prompt", "is required"),
        ({"a": {"prompt": "{{ steps.w.result }}"}}, "a.prompt", None),
        ({"a": {"prompt": "{{ steps.zz }}"}}, "a.prompt", "there is no step 'zz' (line 1)"),
        ({"w": {"duration": 1, "until": "2030-01-01T00:00:00Z"}}, "w", "must have exactly one of duration and until"),
        ({"w": {"duration": None}}, "w", "must have exactly one of duration and until"),
        ({"each": {"step": {"retries": 99}}}, "each.step.retries", "must be from 0 to 10"),
        ({"each": {"step": 5}}, "each.step", "must be an object"),
    ],
)
def test_says_what_is_wrong(step_data, field, message):
    (found,) = check_overrides(STEPS, step_data)
    assert found["field"] == f"workflowData.stepData.{field}"
    assert message in (None, found["message"])
    assert check_overrides(STEPS, step_data, "x")[0]["field"] == f"x.{field}"


def test_the_template_is_not_changed():
    before = repr(STEPS)
    overridden(a={"prompt": "x"}, w={"duration": 9}, each={"step": {"priority": "low"}})
    assert repr(STEPS) == before
