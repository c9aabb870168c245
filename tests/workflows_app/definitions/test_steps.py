"""What a template's steps may say, and exactly what is told where they do not."""

import time

import orjson
import pytest

from workflows_app.definitions import check_steps, read_steps, read_template


def agent(id="a", *needs, **more):
    return {"id": id, "name": id.upper(), "type": "agent", "prompt": "do it", "dependsOn": list(needs)} | more


def step(type, **more):
    return {"id": "s", "name": "S", "type": type} | more


def problems(*steps):
    return [(problem["field"], problem["message"]) for problem in check_steps(list(steps))]


def without(value, name):
    return {key: item for key, item in value.items() if key != name}


CONTROL = "may not have line breaks or control characters"
INNER = {"prompt": "{{ index }}: {{ item.title }}"}
FULL = [
    agent(
        agentType="custom",
        agentId="agent_1",
        capabilities=["x"],
        requirements=["r"],
        priority="urgent",
        timeout=1_000,
        retries=10,
        retryDelay=0,
        when="context.x",
        onFailure="continue",
        executes=True,
    ),
    step("approval", message="Ship {{ context.x }}?", timeout=1_000, onTimeout="continue"),
    step("wait", duration=0),
    step("wait", until="2030-01-01T00:00:00Z"),
    step("wait", until="2030-01-01T00:00:00+02:00"),
    step("wait", until="{{ context.when }}"),
    step("http", url="https://example.com/{{ context.x }}"),
    step("http", url="{{ context.url }}", method="DELETE", headers={"X-A": "{{ context.a }}"}, expect=[204, 404]),
    step("http", url="http://127.0.0.1:9/x", method="POST", body={"a": ["{{ context.x }}", 1, None]}),
    step("http", url="https://example.com", body="text {{ context.x }}"),
    step("condition", expression="context.x > 1"),
    step("foreach", items="context.list", step=INNER),
    step("foreach", items="context.list", parallel=50, step=INNER | {"type": "agent", "retries": 1, "name": "One"}),
]


@pytest.mark.parametrize("valid", FULL, ids=lambda one: one["type"])
def test_takes_every_type(valid):
    assert problems(valid) == []


def test_fills_in_the_defaults_in_the_tables_order():
    found, wrong = read_steps([agent() | {"unknown": 1, "when": None}])
    assert wrong == []
    assert list(found[0].items()) == [
        ("id", "a"),
        ("name", "A"),
        ("type", "agent"),
        ("dependsOn", []),
        ("agentType", "codegen"),
        ("capabilities", []),
        ("prompt", "do it"),
        ("timeout", 1_800_000),
        ("retries", 0),
        ("retryDelay", 1_000),
        ("executes", False),
        ("onFailure", "fail"),
    ]
    inner = read_steps([step("foreach", items="context.x", step=INNER)])[0][0]
    assert (inner["parallel"], inner["step"]["retries"], inner["step"]["type"]) == (5, 0, "agent")
    assert read_steps(found) == (found, [])


def test_defaults_are_not_shared():
    first, second = read_steps([agent("a"), agent("b")])[0]
    first["capabilities"].append("x")
    assert second["capabilities"] == []


def test_a_dependency_counts_once():
    assert read_steps([agent("a"), agent("b", "a", "a")])[0][1]["dependsOn"] == ["a"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (None, "must be a list of steps, and not empty"),
        ({}, "must be a list of steps, and not empty"),
        ("steps", "must be a list of steps, and not empty"),
        ([], "may not be empty"),
        ([agent(f"s{n}") for n in range(1_001)], "may have at most 1000 steps"),
        ([agent(prompt="x" * 262_144)], "may have at most 256 KB"),
    ],
)
def test_the_whole_is_bounded(steps, message):
    assert check_steps(steps) == [{"field": "steps", "message": message}]


def test_what_is_just_within_the_bounds_is_taken():
    room = 262_144 - len(orjson.dumps([agent(prompt="")]))
    assert problems(agent(prompt="x" * room)) == []
    assert problems(agent(prompt="x" * (room + 1))) == [("steps", "may have at most 256 KB")]
    assert problems(agent(name="n" * 200, id="a" * 64, capabilities=["x"] * 100, retries=0, timeout=86_400_000)) == []
    headers = {f"X-{n}": "x\ty" for n in range(50)}
    assert problems(step("http", url="https://x.example", headers=headers, expect=[100] * 20, timeout=600_000)) == []


def test_a_thousand_steps_are_read_soon():
    steps = [agent("s0"), *(agent(f"s{n}", f"s{n - 1}", prompt=f"{{{{ steps.s{n - 1} }}}}") for n in range(1, 1_000))]
    began = time.monotonic()
    assert check_steps(steps) == []
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"id": None}, "id", "is required"),
        ({"id": ""}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"id": "A"}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"id": "a\n"}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"id": "é"}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"id": "a" * 65}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"id": ["a"]}, "id", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"name": None}, "name", "is required"),
        ({"name": " "}, "name", "may not be empty"),
        ({"name": 5}, "name", "must be a string"),
        ({"name": "n" * 201}, "name", "may have at most 200 characters"),
        ({"type": None}, "type", "is required"),
        ({"type": "robot"}, "type", "must be one of agent, approval, wait, http, condition, foreach"),
        ({"type": ["agent"]}, "type", "must be one of agent, approval, wait, http, condition, foreach"),
        ({"dependsOn": "a"}, "dependsOn", "must be a list"),
        ({"dependsOn": [1]}, "dependsOn[0]", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"dependsOn": [["a"]]}, "dependsOn[0]", "must be 1 to 64 of the characters a-z, 0-9, _ and -"),
        ({"dependsOn": ["nope"]}, "dependsOn[0]", "there is no step 'nope'"),
        ({"prompt": None}, "prompt", "is required"),
        ({"prompt": ""}, "prompt", "may not be empty"),
        ({"prompt": 1}, "prompt", "must be a string"),
        ({"prompt": "{{ x"}, "prompt", "unexpected end of template, expected 'end of print statement'. (line 1)"),
        ({"prompt": "\n{{ item }}"}, "prompt", None),
        ({"prompt": "{{ steps.b.result }}"}, "prompt", "there is no step 'b' (line 1)"),
        ({"when": "context.x ="}, "when", None),
        ({"when": "context.x()"}, "when", "a call is not allowed in a template (line 1)"),
        ({"when": True}, "when", "must be a string"),
        ({"onFailure": "stop"}, "onFailure", "must be one of fail, continue"),
        ({"agentType": "gpt"}, "agentType", "must be one of codegen, claude, custom"),
        ({"agentId": 5}, "agentId", "must be a string"),
        ({"capabilities": "x"}, "capabilities", "must be a list"),
        ({"capabilities": ["x", ""]}, "capabilities[1]", "may not be empty"),
        ({"capabilities": ["x"] * 101}, "capabilities", "may have at most 100 items"),
        ({"requirements": [5]}, "requirements[0]", "must be a string"),
        ({"priority": "highest"}, "priority", "must be one of low, normal, high, urgent"),
        ({"timeout": 999}, "timeout", "must be from 1000 to 86400000"),
        ({"timeout": "1000"}, "timeout", "must be a whole number"),
        ({"timeout": 1000.0}, "timeout", "must be a whole number"),
        ({"retries": 11}, "retries", "must be from 0 to 10"),
        ({"retries": True}, "retries", "must be a whole number"),
        ({"retryDelay": -1}, "retryDelay", "must be from 0 to 3600000"),
        ({"executes": "yes"}, "executes", "must be true or false"),
    ],
)
def test_an_agents_step(changed, field, message):
    (found,) = problems(agent() | changed)
    assert found[0] == f"steps[0].{field}"
    assert message in (None, found[1])


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        (step("approval", message="{{ x }}"), "message", None),
        (step("approval", timeout=0), "timeout", "must be from 1000 to 31536000000"),
        (step("approval", onTimeout="wait"), "onTimeout", "must be one of fail, continue"),
        (step("wait"), "", "must have exactly one of duration and until"),
        (step("wait", duration=1, until="2030-01-01T00:00:00Z"), "", "must have exactly one of duration and until"),
        (step("wait", duration=-1), "duration", "must be from 0 to 31536000000"),
        (step("wait", until="tomorrow"), "until", None),
        (step("wait", until="2030-01-01T00:00:00"), "until", None),
        (step("wait", until="2030-13-01T00:00:00Z"), "until", None),
        (step("wait", until="{{ tomorrow }}"), "until", None),
        (step("wait", until=5), "until", "must be a string"),
        (step("http"), "url", "is required"),
        (step("http", url="ftp://x.example"), "url", "must begin with http:// or https:// and a host"),
        (step("http", url="http://10.0.0.1/"), "url", None),
        (step("http", url="http://169.254.169.254/"), "url", None),
        (step("http", url="https://u:p@example.com"), "url", "may not name a user"),
        (step("http", url="https://x.example/{{ y }}"), "url", None),
        (step("http", url="https://x.example", method="get"), "method", None),
        (step("http", url="https://x.example", headers=["a"]), "headers", "must be an object"),
        (step("http", url="https://x.example", headers={"a b": "c"}), "headers.a b", "is no name of a header"),
        (step("http", url="https://x.example", headers={"Host": "c"}), "headers.Host", "is set by the server"),
        (step("http", url="https://x.example", headers={"A": 1}), "headers.A", "must be a string"),
        (step("http", url="https://x.example", headers={"A": "b\r\nC: d"}), "headers.A", CONTROL),
        (step("http", url="https://x.example", headers={"A": "\0"}), "headers.A", CONTROL),
        (step("http", url="https://x.example", headers={str(n): "x" for n in range(51)}), "headers", None),
        (step("http", url="https://x.example", body={"a": [{"b": "{{ c }}"}]}), "body.a[0].b", None),
        (step("http", url="https://x.example", body="{{ c }}"), "body", None),
        (step("http", url="https://x.example", expect=[]), "expect", "must have 1 to 20 items"),
        (step("http", url="https://x.example", expect=[99]), "expect[0]", "must be from 100 to 599"),
        (step("http", url="https://x.example", timeout=600_001), "timeout", "must be from 1000 to 600000"),
        (step("condition"), "expression", "is required"),
        (step("condition", expression="{% if x %}"), "expression", None),
        (step("foreach", step=INNER), "items", "is required"),
        (step("foreach", items="context.x"), "step", "is required"),
        (step("foreach", items="context.x", step="x"), "step", "must be an object"),
        (step("foreach", items="context.x", step={}), "step.prompt", "is required"),
        (step("foreach", items="context.x", step=INNER | {"type": "http"}), "step.type", "must be one of agent"),
        (step("foreach", items="context.x", step=INNER | {"retries": 11}), "step.retries", "must be from 0 to 10"),
        (step("foreach", items="context.x", step={"prompt": "{{ thing }}"}), "step.prompt", None),
        (step("foreach", items="item.x", step=INNER), "items", None),
        (step("foreach", items="context.x", step=INNER, parallel=0), "parallel", "must be from 1 to 50"),
        (step("foreach", items="context.x", step=INNER, parallel=51), "parallel", "must be from 1 to 50"),
    ],
)
def test_steps_of_other_types(wrong, field, message):
    (found,) = problems(wrong)
    assert found[0] == f"steps[0].{field}".removesuffix(".")
    assert message in (None, found[1])


def test_everything_wrong_is_told_at_once():
    assert problems(5, without(agent(), "prompt"), agent("b", "x", retries=-1)) == [
        ("steps[0]", "must be an object"),
        ("steps[1].prompt", "is required"),
        ("steps[2].retries", "must be from 0 to 10"),
        ("steps[2].dependsOn[0]", "there is no step 'x'"),
    ]


def test_no_more_than_a_hundred_problems_are_told():
    assert len(problems(*[{}] * 1_000)) == 100


def test_ids_are_unique():
    assert problems(agent("a"), agent("b"), agent("a")) == [("steps[2].id", "steps[0] has the id 'a' already")]


@pytest.mark.parametrize(
    ("steps", "field", "message"),
    [
        ([agent("a", "a")], "steps[0].dependsOn", "a circle: a → a"),
        ([agent("x"), agent("a", "x", "b"), agent("b", "a")], "steps[1].dependsOn", "a circle: a → b → a"),
        (
            [agent("d", "b"), agent("a", "c"), agent("b", "a"), agent("c", "b")],
            "steps[1].dependsOn",
            "a circle: a → c → b → a",
        ),
        (
            [agent(f"s{n}", f"s{(n + 1) % 12}") for n in range(12)],
            "steps[0].dependsOn",
            "a circle: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9 → s10 → s11 → s0",
        ),
        (
            [agent(f"s{n}", f"s{(n + 1) % 20}") for n in range(20)],
            "steps[0].dependsOn",
            "a circle: s0 → s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9 → s10 → s11 → … → s0",
        ),
    ],
)
def test_a_circle_is_named(steps, field, message):
    assert problems(*steps) == [(field, message)]


def test_steps_may_stand_in_any_order():
    assert problems(agent("c", "b"), agent("b", "a"), agent("a")) == []


def test_a_result_is_looked_at_only_after_its_step():
    looks = {"prompt": "x\n{{ steps.b.result.content }}"}
    late = "'b' may not have ended by then (line 2): this step does not depend on it"
    assert problems(agent("a", **looks), agent("b", "a")) == [("steps[0].prompt", late)]
    assert problems(agent("a", **looks), agent("b")) == [("steps[0].prompt", late)]
    assert problems(agent("b"), agent("m", "b"), agent("a", "m", **looks)) == []


def test_a_step_cannot_look_at_its_own_result():
    assert [field for field, _ in problems(agent("a", when="steps.a.status"))] == ["steps[0].when"]


def test_every_wrong_look_at_a_result_is_told():
    wrong = problems(agent("a", prompt="{{ steps.x }}{{ steps.y }}{{ steps.b }}", when="steps.b"), agent("b"))
    assert [field for field, _ in wrong] == ["steps[0].prompt", "steps[0].prompt", "steps[0].prompt", "steps[0].when"]


def test_an_id_with_a_hyphen_is_explained():
    (found,) = problems(agent("my-step"), agent("b", "my-step", prompt="{{ steps.my-step.result }}"))
    assert found == (
        "steps[1].prompt",
        "there is no variable 'step': context, stepData, steps, workflow are known (line 1)",
    )
    (found,) = problems(agent("my-index"), agent("b", "my-index", prompt="{{ steps.my - 1 }}"))
    assert found[1] == "there is no step 'my' (line 1); an id with a hyphen is written steps['my-index']"
    assert problems(agent("my-step"), agent("b", "my-step", prompt="{{ steps['my-step'].result }}")) == []


def test_a_whole_template():
    stored, wrong = read_template({"name": "T", "id": "t-1", "steps": [agent()], "version": 7, "description": "d"})
    assert wrong == []
    assert list(stored) == ["id", "name", "description", "steps"]
    assert stored["steps"] == read_steps([agent()])[0]
    assert read_template([])[1] == [{"field": "body", "message": "must be an object"}]
    assert [problem["field"] for problem in read_template({"id": "T", "steps": []})[1]] == ["id", "name", "steps"]
    assert [problem["field"] for problem in read_template({})[1]] == ["id", "name", "steps"]
