"""The envelope around every answer."""

import re

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")


def test_a_success_shows_its_members_twice(alice):
    body = alice.get("/agents").json()
    assert body["success"] is True
    assert body["error"] is None
    assert TIMESTAMP.match(body["timestamp"])
    assert body["data"] == {"agents": body["agents"], "pagination": body["pagination"]}


def test_a_failure_has_a_code_and_no_data(alice):
    body = alice.get("/sessions/session_nope").json()
    assert body["success"] is False
    assert body["data"] is None
    assert (body["code"], body["error"], body["details"]) == ("not_found", "Not found.", None)


def test_problem_details_on_request(alice):
    response = alice.get("/sessions/session_nope", accept="application/problem+json")
    assert response["Content-Type"] == "application/problem+json"
    assert response.json() | {"instance": ""} == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "Not found.",
        "instance": "",
        "code": "not_found",
        "errors": None,
    }
