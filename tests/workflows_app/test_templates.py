"""Templates over REST: versions, exact errors, their list, JSON and YAML."""

import pytest

from tests.api.racing import at_once
from tests.conftest import V1, person
from workflows_app.models import WorkflowTemplate
from workflows_app.template_store import built_in
from workflows_app.yaml_form import from_yaml, to_yaml

from .working import agent, step

pytestmark = pytest.mark.django_db

YAML = "application/yaml"


def publish(who, key="mine", *steps, **more):
    """The answer to a new template."""
    return who.post("/workflow-templates", {"id": key, "name": "Mine", "steps": list(steps) or [agent("a")]} | more)


def revise(who, key, *steps, **more):
    """The answer to a new version."""
    return who.call("PUT", f"/workflow-templates/{key}", {"name": "Mine", "steps": list(steps)} | more)


def send_yaml(who, method, path, text, content_type=YAML):
    """The answer to a body of YAML."""
    body = text if isinstance(text, bytes) else text.encode()
    return who.client.generic(method, V1 + path, body, content_type=content_type, headers=who.headers)


def problems(answer):
    """What a 400 names."""
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    return {detail["field"]: detail["message"] for detail in answer.json()["details"]}


def shown(who, key, query=""):
    return who.get(f"/workflow-templates/{key}{query}").json()["template"]


def listed(who, query=""):
    return [template["id"] for template in who.get(f"/workflow-templates{query}").json()["templates"]]


def test_a_template_is_shown_as_it_is_stored_with_its_defaults(alice):
    answer = publish(alice, "mine", agent("a", unknown=1), description="What it is for")
    assert answer.status_code == 201
    assert answer["Location"] == "/api/v1/workflow-templates/mine"
    told = answer.json()["template"]
    assert told == shown(alice, "mine")
    assert (told["id"], told["name"], told["description"]) == ("mine", "Mine", "What it is for")
    assert (told["version"], told["builtIn"]) == (1, False)
    (only,) = told["steps"]
    assert (only["retries"], only["dependsOn"], only["onFailure"]) == (0, [], "fail")
    assert "unknown" not in only


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_stored(alice):
    answer = alice.post(
        "/workflow-templates",
        {"id": "A b", "steps": [agent("a", prompt=""), agent("b", "nowhere"), agent("b"), {"id": "c"}]},
    )
    assert set(problems(answer)) == {
        "id",
        "name",
        "steps[0].prompt",
        "steps[1].dependsOn[0]",
        "steps[2].id",
        "steps[3].name",
        "steps[3].type",
    }
    assert WorkflowTemplate.objects.count() == 0


def test_a_circle_an_unknown_result_and_a_prompt_that_does_not_parse_are_named(alice):
    assert "steps[0].dependsOn" in problems(publish(alice, "x", agent("a", "b"), agent("b", "a")))
    assert "steps[0].prompt" in problems(publish(alice, "x", agent("a", prompt="{{ steps.z.result }}")))
    assert "steps[0].prompt" in problems(publish(alice, "x", agent("a", prompt="{{ context.")))


@pytest.mark.parametrize("more", [{"message": None}, {"message": "", "x": 1}, {"steps": "abc"}, {"steps": [[]]}])
def test_strange_members_are_never_our_fault(alice, more):
    assert publish(alice, "x", step("a", "approval") | more).status_code in (201, 400)
    assert alice.post("/workflow-templates", {"id": "y", "name": "Y"} | more).status_code == 400


def test_a_thousand_steps_that_all_need_each_other_are_taken_and_run(alice):
    many = [step(f"s{n}", "wait", *[f"s{m}" for m in range(max(0, n - 20), n)], duration=1) for n in range(1_000)]
    assert publish(alice, "many", *many).status_code == 201
    assert problems(publish(alice, "more", *many, step("z", "wait", duration=1)))["steps"].startswith(
        "may have at most"
    )
    made = alice.post("/workflows", {"templateId": "many"})
    assert (made.status_code, len(made.json()["workflow"]["steps"])) == (201, 1_000)


def test_an_id_that_is_taken_is_a_409_and_another_organization_may_have_it(alice, charlie):
    assert publish(alice).status_code == 201
    assert publish(alice).json()["code"] == "conflict"
    assert publish(charlie).status_code == 201
    assert shown(charlie, "mine")["version"] == 1


def test_a_new_version_is_for_new_workflows_and_the_old_ones_stay(alice):
    publish(alice, "mine", agent("a"))
    old = alice.post("/workflows", {"templateId": "mine"}).json()["workflowId"]
    answer = revise(alice, "mine", agent("a"), agent("b", "a"), name="Better")
    assert (answer.status_code, answer.json()["template"]["version"]) == (200, 2)
    new = alice.post("/workflows", {"templateId": "mine"}).json()["workflow"]
    kept = alice.get(f"/workflows/{old}").json()["workflow"]
    assert (new["templateVersion"], len(new["steps"]), new["name"]) == (2, 2, "Better")
    assert (kept["templateVersion"], len(kept["steps"]), kept["name"]) == (1, 1, "Mine")


def test_each_version_can_be_looked_at(alice):
    publish(alice, "mine", agent("a"))
    revise(alice, "mine", agent("b"))
    assert [step["id"] for step in shown(alice, "mine", "?version=1")["steps"]] == ["a"]
    assert [step["id"] for step in shown(alice, "mine", "?version=2")["steps"]] == ["b"]
    assert shown(alice, "mine")["version"] == 2
    builtin = shown(alice, "bug_fix")["version"]
    assert shown(alice, "bug_fix", f"?version={builtin}")["version"] == builtin
    for path in ("mine?version=3", f"bug_fix?version={builtin + 1}"):
        assert alice.get(f"/workflow-templates/{path}").status_code == 404
    for value in ("", "0", "-1", "x", "1.5", "%00", "9" * 30):
        assert set(problems(alice.get(f"/workflow-templates/mine?version={value}"))) == {"version"}


def test_the_id_in_a_new_versions_body_is_that_of_the_path_or_none(alice):
    publish(alice)
    assert revise(alice, "mine", agent("b"), id="mine").status_code == 200
    assert revise(alice, "mine", agent("b"), id=None).status_code == 200
    assert set(problems(revise(alice, "mine", agent("b"), id="other"))) == {"id"}


def test_a_deleted_template_is_gone_its_workflows_go_on_and_its_numbers_are_not_used_again(alice):
    publish(alice)
    revise(alice, "mine", agent("b"))
    workflow = alice.post("/workflows", {"templateId": "mine"}).json()["workflowId"]
    assert alice.delete("/workflow-templates/mine").status_code == 200
    assert alice.delete("/workflow-templates/mine").status_code == 404
    assert alice.get("/workflow-templates/mine?version=1").status_code == 404
    assert alice.post("/workflows", {"templateId": "mine"}).status_code == 404
    assert "mine" not in listed(alice)
    assert alice.post(f"/workflows/{workflow}/start").status_code == 200
    assert publish(alice).json()["template"]["version"] == 3


def test_the_list_is_the_own_ones_newest_first_and_then_the_built_in_ones(alice, charlie):
    for key in ("one", "two", "three"):
        publish(alice, key)
    publish(charlie, "theirs")
    revise(alice, "one", agent("b"))
    assert listed(alice) == ["one", "three", "two", *built_in()]
    first = alice.get("/workflow-templates").json()["templates"][0]
    assert (first["version"], first["steps"][0]["id"]) == (2, "b")


def test_a_cursor_goes_through_the_list_whatever_is_added_meanwhile(alice, django_assert_max_num_queries):
    for key in ("one", "two", "three"):
        publish(alice, key)
    seen, query = [], "?limit=2"
    while query:
        with django_assert_max_num_queries(6):
            document = alice.get(f"/workflow-templates{query}").json()
        seen += [template["id"] for template in document["templates"]]
        publish(alice, f"late-{len(seen)}")
        cursor = document["pagination"]["nextCursor"]
        query = f"?limit=2&cursor={cursor}" if cursor else ""
    assert seen == ["three", "two", "one", *built_in()]


def test_a_built_in_that_comes_later_does_not_take_the_place_of_an_own_one(alice, org):
    WorkflowTemplate.objects.create(org=org, key="bug_fix", name="Ours", steps=[agent("a")])
    assert shown(alice, "bug_fix")["name"] == "Ours"
    assert listed(alice).count("bug_fix") == 1


# As YAML


def test_a_template_goes_out_as_yaml_and_comes_in_again_as_it_was(alice, charlie):
    prompt = "First line\n\n  indented: {{ context.x | default('no') }}\n# no comment\n"
    answer = publish(alice, "mine", agent("a", prompt=prompt, retries=2), step("on", "approval", "a"), name="Größe: 1")
    assert answer.status_code == 201
    out = alice.get("/workflow-templates/mine", accept=YAML)
    assert (out.status_code, out["Content-Type"]) == (200, "application/yaml; charset=utf-8")
    back = send_yaml(charlie, "POST", "/workflow-templates", out.content)
    assert back.status_code == 201, back.json()
    mine, theirs = shown(alice, "mine"), shown(charlie, "mine")
    assert {**mine, "createdAt": None} == {**theirs, "createdAt": None}
    assert theirs["steps"][0]["prompt"] == prompt


def test_every_built_in_template_comes_in_again_under_another_id(alice):
    for key in built_in():
        document = from_yaml(alice.get(f"/workflow-templates/{key}", accept=YAML).content.decode())
        answer = send_yaml(alice, "POST", "/workflow-templates", to_yaml(document | {"id": f"my-{key}"}))
        assert answer.status_code == 201, answer.json()
        assert shown(alice, f"my-{key}")["steps"] == shown(alice, key)["steps"]


@pytest.mark.parametrize("content_type", [YAML, "application/yaml; charset=utf-8", "text/yaml", "application/x-yaml"])
def test_yaml_is_taken_under_its_names(alice, content_type):
    publish(alice)
    text = "name: Two\nsteps:\n  - {id: b, name: B, type: wait, duration: 5}\n"
    answer = send_yaml(alice, "PUT", "/workflow-templates/mine", text, content_type)
    assert answer.status_code == 200, answer.json()
    assert shown(alice, "mine")["steps"][0]["duration"] == 5


def test_yaml_has_the_same_exact_errors_as_json(alice):
    steps = [agent("a", "b"), agent("b", "a"), {"id": 5}]
    document = {"id": "x y", "steps": steps}
    as_json = problems(alice.post("/workflow-templates", document))
    assert problems(send_yaml(alice, "POST", "/workflow-templates", to_yaml(document))) == as_json


BAD_YAML = {
    "empty": b"",
    "a list": b"- 1",
    "a word": b"development",
    "two documents": b"a: 1\n---\nb: 2\n",
    "an alias": b"a: &x 1\nb: *x\n",
    "a tag": b"a: !!python/object/apply:os.system ['true']\n",
    "not UTF-8": b"a: \xff\n",
    "NUL": b"a: \0\n",
    "NUL escaped": b'a: "\\0"\n',
    "half a surrogate pair": b'a: "\\ud800"\n',
    "a key twice": b"a: 1\na: 2\n",
    "deep": b"[" * 5_000,
    "broken": b"a: [1\n",
    "infinite": b"a: .inf\nb: 1e400\n",
    "a huge number": b"a: 99999999999999999\n",
}


@pytest.mark.parametrize("raw", BAD_YAML.values(), ids=BAD_YAML)
def test_yaml_that_cannot_be_taken_is_a_400_that_says_why(alice, raw):
    answer = send_yaml(alice, "POST", "/workflow-templates", raw)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("bad_request", "validation_failed")
    assert WorkflowTemplate.objects.count() == 0


def test_json_is_what_is_answered_unless_yaml_is_named_before_it(alice):
    for accept in (
        "*/*",
        "application/json",
        "application/json, application/yaml",
        "",
        "text/html",
        "\x7f;;q=,",
        "a/b;c*=x''y",
    ):
        assert alice.get("/workflow-templates/bug_fix", accept=accept)["Content-Type"] == "application/json"
    for accept in (YAML, "text/yaml", "application/yaml;q=0.9, */*"):
        answer = alice.get("/workflow-templates/bug_fix", accept=accept)
        assert answer["Content-Type"].startswith(YAML)
    assert alice.get("/workflow-templates/nowhere", accept=YAML).json()["code"] == "not_found"


def test_yaml_is_for_templates_alone(alice):
    assert send_yaml(alice, "POST", "/workflows", "templateId: bug_fix\n").status_code == 415


def test_a_new_template_in_yaml_keeps_an_idempotency_key(alice):
    headers = alice.headers | {"Idempotency-Key": "one"}
    text = "id: x\nname: X\nsteps: [{id: a, name: A, type: wait, duration: 1}]\n"
    answers = [
        alice.client.generic("POST", f"{V1}/workflow-templates", text, content_type=YAML, headers=headers)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert WorkflowTemplate.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_that_publish_or_change_it_at_once_every_version_has_one_author(org):
    people = [person(org) for _ in range(6)]
    answers = at_once(*[lambda who=who: publish(who).status_code for who in people])
    assert sorted(answers) == [201] + [409] * 5
    answers = at_once(*[lambda who=who: revise(who, "mine", agent("b")).status_code for who in people])
    assert set(answers) <= {200, 409}
    versions = sorted(WorkflowTemplate.objects.values_list("version", flat=True))
    assert versions == list(range(1, 2 + answers.count(200)))
