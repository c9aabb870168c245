"""Decisions over sockets: the same rows and rules as over REST."""

import json
import uuid

from tests.agents_app.backends.acp_agent import COMMAND

from .cast import Cast
from .sockets import Frame, socket

CALL = {"kind": "execute", "title": "rm -rf build", "rawInput": {"command": "rm -rf build"}}


def asking_session(cast: Cast) -> str:
    """A session with an agent that asks for a permission and says what it was answered."""
    words = ["asks", json.dumps(CALL), "allow_once", "reject_once"]
    return cast.session(cast.live.agent("acp", config={"command": [*COMMAND, *words]}))


def conflict(frame: Frame) -> tuple[str, str]:
    """The code, and the current state."""
    return frame["code"], frame["details"][0]["message"]


def test_whoever_sent_the_message_is_asked_and_may_decide_and_a_stranger_may_not(cast: Cast) -> None:
    session, other = asking_session(cast), cast.session(cast.live.echo_agent())
    with cast.live.guest("strangers") as guest:
        secret = guest.headers["Authorization"].removeprefix("Bearer ")
    with socket(cast.live, session) as one, socket(cast.live, token=secret) as stranger:
        one.subscribe("action.*")
        message = one.ask("message", content="clean up")["messageId"]
        asked = one.of_type("action", 60)
        action = asked["action"]
        assert (asked["messageId"], action["status"], action["sessionId"]) == (message, "pending", session)
        assert action == cast.client.get(f"/actions/{action['id']}").json()["action"]

        decision = {"actionId": action["id"], "confirmed": True}
        assert one.ask("confirm", **decision, sessionId=other)["code"] == "not_found"
        assert stranger.ask("confirm", **decision)["code"] == "not_found"
        decided = one.ask("confirm", **decision, sessionId=session, reason="go on")
        assert (decided["type"], decided["actionId"], decided["status"]) == ("confirmed", action["id"], "confirmed")
        stored = cast.client.get(f"/actions/{action['id']}").json()["action"]
        assert stored == decided["action"]
        assert stored["reason"] == "go on"
        assert one.of_type("response", 20)["response"]["content"] == "the-allow_once"

        assert one.ask("confirm", **decision)["status"] == "confirmed"
        assert conflict(one.ask("confirm", actionId=action["id"], confirmed=False)) == ("invalid_state", "confirmed")
        assert [event["eventType"] for event in one.events(2)] == ["action.pending", "action.confirmed"]
        assert {frame["type"] for frame in one.unread} <= {"delta"}


def workflow(cast: Cast) -> str:
    """A running workflow that waits for an approval."""
    steps = [{"id": "ok", "name": "Ship it?", "type": "approval"}]
    template = {"id": f"ship-{uuid.uuid4().hex[:8]}", "name": "Ship", "steps": steps}
    made = cast.client.post("/workflow-templates", json=template).raise_for_status().json()["template"]["id"]
    found = cast.client.post("/workflows", json={"templateId": made}).raise_for_status().json()["workflowId"]
    cast.client.post(f"/workflows/{found}/start").raise_for_status()
    return str(found)


def test_an_approval_of_a_workflow_is_decided_once(cast: Cast) -> None:
    waiting = workflow(cast)
    decision = {"workflowId": waiting, "stepId": "ok", "approved": True}
    with socket(cast.live) as one:
        one.subscribe("workflow.finished", filter={"workflowId": waiting})
        for wrong, code in (
            ({"workflowId": "workflow_1"}, "not_found"),
            ({"stepId": "nothing"}, "not_found"),
            ({"stepId": 7}, "validation_failed"),
            ({"approved": "yes"}, "validation_failed"),
            ({"data": []}, "validation_failed"),
        ):
            assert one.ask("signal", **decision | wrong)["code"] == code, wrong
        answer = one.ask("signal", **decision, data={"by": "hand"})
        assert (answer["type"], answer["workflowId"], answer["step"]["id"]) == ("signalled", waiting, "ok")
        assert one.events(1)[0]["data"]["status"] == "completed"
        assert one.ask("signal", **decision | {"approved": False})["code"] == "invalid_state"
    assert cast.client.get(f"/workflows/{waiting}").json()["workflow"]["status"] == "completed"
