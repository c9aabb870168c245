"""The templates that come with the product."""

from pathlib import Path

import pytest

import workflows_app
from workflows_app.definitions import read_template
from workflows_app.prompts import render
from workflows_app.yaml_form import from_yaml

FOLDER = Path(workflows_app.__file__).parent / "builtin"
ALL = {path.stem: from_yaml(path.read_text()) for path in FOLDER.glob("*.yaml")}


def variables(context, **results):
    steps = {id: {"result": result} for id, result in results.items()}
    return {"context": context, "steps": steps, "stepData": {}, "workflow": {"id": "workflow_1", "name": "The Run"}}


def prompt(template, id, context, **results):
    step = next(step for step in ALL[template]["steps"] if step["id"] == id)
    return render(step["prompt"], variables(context, **results))


def test_there_are_three():
    assert sorted(ALL) == ["bug_fix", "development", "pr_validation"]


@pytest.mark.parametrize("name", ["bug_fix", "development", "pr_validation"])
def test_each_is_valid_versioned_and_named_like_its_file(name):
    template = ALL[name]
    stored, wrong = read_template(template)
    assert wrong == []
    assert (template["id"], template["version"]) == (name, 1)
    # What a file says is all that is stored: nothing in it is misspelt.
    for step, kept in zip(template["steps"], stored["steps"], strict=True):
        assert set(step) <= set(kept)
    assert stored["description"]


def test_development_has_the_references_steps_in_a_chain():
    steps = ALL["development"]["steps"]
    assert [step["id"] for step in steps] == [
        "analyze_requirements",
        "create_tasks",
        "implement_code",
        "run_tests",
        "review",
    ]
    assert [step["name"] for step in steps[:2]] == ["Analyze Requirements", "Create Tasks"]
    needed = [step.get("dependsOn", []) for step in steps]
    assert needed == [[], ["analyze_requirements"], ["create_tasks"], ["implement_code"], ["run_tests"]]


def test_what_has_to_run_code_says_so():
    executing = {name: [s["id"] for s in template["steps"] if s.get("executes")] for name, template in ALL.items()}
    assert executing == {"bug_fix": ["test_fix"], "development": ["run_tests"], "pr_validation": ["run_tests"]}


@pytest.mark.parametrize("name", ["bug_fix", "development", "pr_validation"])
def test_every_prompt_makes_sense_without_a_context_and_without_results(name):
    for step in ALL[name]["steps"]:
        text = render(step["prompt"], variables({}))
        assert "{{" not in text
        assert "{%" not in text
        assert len(text) > 100
    first = render(ALL[name]["steps"][0]["prompt"], variables({}))
    assert "The Run" in first


def test_the_context_and_earlier_results_reach_the_prompts():
    context = {"repository": "user-service", "requirements": "Implement authentication system"}
    first = prompt("development", "analyze_requirements", context)
    assert "user-service" in first
    assert "Implement authentication system" in first
    assert "<analysis>\nthe analysis\n</analysis>" in prompt(
        "development", "create_tasks", context, analyze_requirements={"content": "the analysis"}
    )


@pytest.mark.parametrize(
    ("result", "plan"),
    [
        (
            {"content": "…", "json": {"tasks": [{"title": "One", "description": "do one"}, {"title": "Two"}]}},
            "The tasks, in order:\n1. One: do one\n2. Two\n",
        ),
        ({"content": "…", "json": {"tasks": ["One", "Two"]}}, "The tasks, in order:\n1. One\n2. Two\n"),
        # A small model that made no JSON, or other JSON: its words are the plan.
        ({"content": "First this, then that."}, "The plan:\n<plan>\nFirst this, then that.\n</plan>\n"),
        ({"content": "words", "json": {"tasks": "none"}}, "The plan:\n<plan>\nwords\n</plan>\n"),
        ({"content": "words", "json": [1]}, "The plan:\n<plan>\nwords\n</plan>\n"),
    ],
)
def test_development_goes_on_with_tasks_and_without(result, plan):
    assert plan in prompt("development", "implement_code", {}, create_tasks=result)


def test_tests_that_were_not_run_are_not_told_of_as_results():
    written = {"implement_code": {"content": "code"}}
    claimed = {"content": "All tests have passed.", "executed": False}
    text = prompt("development", "review", {}, run_tests=claimed, **written)
    assert "The tests have not been run." in text
    assert "All tests have passed." not in text
    text = prompt("development", "review", {}, run_tests=claimed | {"executed": True}, **written)
    assert "<tests>\nAll tests have passed.\n</tests>" in text
