"""Messages over REST, from the post to the answer."""

import time
from functools import partial

from tests.live import Live, until

from .cast import Cast, at_once, events_of
from .model import answer_to


def test_a_message_is_answered(cast: Cast) -> None:
    word, _ = cast.plan()
    answer = cast.say(cast.session(cast.agent()), f"{word} hello")
    assert answer.status_code == 200
    response = answer.json()["response"]
    assert (response["type"], response["content"]) == ("text_response", answer_to(f"{word} hello"))
    assert response["metadata"]["tokensUsed"] == 7
    assert response["metadata"]["backend"] == "openai"


def test_a_wait_that_ends_leaves_the_work_alone(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent(), timeout=1000)
    began = time.monotonic()
    answer = cast.say(session, word)
    assert 0.9 < time.monotonic() - began < 5
    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["response"]) == ("processing", None)
    where = answer.headers["Location"].removeprefix("/api/v1")
    assert cast.client.get(where).json()["message"]["status"] == "processing"
    plan.go.set()
    ended = cast.ended(session, body["messageId"])
    assert (ended["status"], ended["response"]["content"]) == ("completed", answer_to(word))
    assert [call.cut for call in cast.model.calls_of(word)] == [None]


def test_respond_async_is_answered_at_once(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent())
    answer = cast.say(session, word, prefer="respond-async")
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert cast.message(session, answer.json()["messageId"])["status"] in ("queued", "processing")
    plan.go.set()
    assert cast.ended(session, answer.json()["messageId"])["status"] == "completed"


def test_a_stream_tells_the_answer_while_it_is_written(cast: Cast) -> None:
    word, _ = cast.plan(pieces=8, pause=0.15)
    session = cast.session(cast.agent())
    heard = []
    headers = {"Accept": "text/event-stream"}
    with cast.client.stream("POST", f"/sessions/{session}/messages", json={"content": word}, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        heard = [(time.monotonic(), name, data) for name, data in events_of(answer)]
    assert [name for _, name, _ in heard] == ["delta"] * 8 + ["completed"]
    text = answer_to(word, 8)
    assert "".join(data["content"] for _, _, data in heard[:-1]) == text
    assert [text[data["offset"] :].startswith(data["content"]) for _, _, data in heard[:-1]] == [True] * 8
    assert heard[-1][2]["response"]["content"] == text
    assert heard[-1][0] - heard[0][0] > 0.6  # one would come long before the other


def test_a_stream_tells_of_the_failure(cast: Cast) -> None:
    word, _ = cast.plan(refusals=[400])
    session = cast.session(cast.agent())
    headers = {"Accept": "text/event-stream"}
    with cast.client.stream("POST", f"/sessions/{session}/messages", json={"content": word}, headers=headers) as answer:
        heard = list(events_of(answer))
    assert [name for name, _ in heard] == ["failed"]
    assert (heard[0][1]["status"], heard[0][1]["response"]) == ("failed", None)
    assert "told to refuse" in heard[0][1]["error"]
    assert heard[0][1]["code"] == "agent_failed"


def test_a_stream_begins_before_the_answer_does_and_tells_of_a_cancel(cast: Cast) -> None:
    word, _ = cast.plan(pieces=1, go=cast.gate())
    session = cast.session(cast.agent())
    headers = {"Accept": "text/event-stream"}
    began = time.monotonic()
    with cast.client.stream("POST", f"/sessions/{session}/messages", json={"content": word}, headers=headers) as answer:
        assert time.monotonic() - began < 5
        where = answer.headers["Location"].removeprefix("/api/v1")
        assert cast.client.post(f"{where}/cancel").status_code == 200
        ((name, told),) = events_of(answer)
    assert name == "failed"
    assert (told["status"], told["response"]) == ("cancelled", None)
    assert (told["error"], told["code"]) == ("The message was cancelled.", "invalid_state")


def test_ten_at_once_are_answered_in_their_order_one_at_a_time(cast: Cast) -> None:
    word, _ = cast.plan(pause=0.02)
    session = cast.session(cast.agent())
    answers = [f.result() for f in at_once(*(partial(cast.say, session, f"{word} {n}") for n in range(10)))]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert [a.json()["response"]["content"] for a in answers] == [answer_to(f"{word} {n}") for n in range(10)]
    order = [message["content"] for message in cast.messages(session)]
    calls = [call for call in cast.model.calls if call.content.startswith(word)]
    assert [call.content for call in calls] == order
    assert sorted(order) == sorted(f"{word} {n}" for n in range(10))
    # Each is asked when the one before has been answered, so that it comes with the whole conversation.
    assert [len(call.history) for call in calls] == [2 * n for n in range(10)]


def test_a_cancel_stops_the_work_and_the_next_message_proceeds(cast: Cast) -> None:
    word, _ = cast.plan(go=cast.gate())
    after, _ = cast.plan()
    session = cast.session(cast.agent())
    (waiting,) = at_once(lambda: cast.say(session, word))
    cast.asked(word)
    following = cast.post(session, after)
    running = cast.messages(session)[0]["id"]
    began = time.monotonic()
    answer = cast.client.post(f"/sessions/{session}/messages/{running}/cancel")
    assert (answer.status_code, answer.json()["message"]["status"]) == (200, "cancelled")
    (call,) = cast.model.calls_of(word)
    assert until(lambda: call.cut) - began < 1
    assert waiting.result().status_code == 409
    assert cast.ended(session, following)["response"]["content"] == answer_to(after)
    assert cast.message(session, running)["status"] == "cancelled"
    assert cast.client.post(f"/sessions/{session}/messages/{running}/cancel").status_code == 409


def test_clients_that_go_away_take_nothing_with_them(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    sessions = [cast.session(agent) for agent in [cast.agent()] for _ in range(5)]
    clients = [cast.hang(session, f"{word} {n}") for n, session in enumerate(sessions)]
    until(lambda: cast.waiting() >= 5, 8)
    for client in clients:
        client.close()
    # The request that asks may be counted itself.
    until(lambda: cast.waiting() <= 1, 8)
    plan.go.set()
    for n, session in enumerate(sessions):
        (message,) = cast.messages(session)
        assert cast.ended(session, message["id"])["status"] == "completed"
        assert [call.cut for call in cast.model.calls_of(f"{word} {n}")] == [None]


def test_deleting_a_session_ends_its_work(cast: Cast) -> None:
    word, _ = cast.plan(go=cast.gate())
    agent = cast.agent(limit=1)
    session = cast.session(agent)
    running, queued = at_once(lambda: cast.say(session, word)), None
    cast.asked(word)
    queued = cast.post(session, f"{word} never")
    assert cast.client.delete(f"/sessions/{session}").status_code == 200
    (call,) = cast.model.calls_of(word)
    until(lambda: call.cut, 2)
    assert running[0].result().status_code in (404, 409)
    assert cast.client.get(f"/sessions/{session}/messages/{queued}").status_code == 404
    tasks = cast.all("/tasks", "tasks", sessionId=session)
    assert [task["status"] for task in tasks] == ["cancelled"]
    # The agent is free again, and the message behind was never asked.
    free, _ = cast.plan()
    assert cast.say(cast.session(agent), free).status_code == 200
    assert cast.model.calls_of(f"{word} never") == []


def test_an_agents_failure_is_a_502(cast: Cast) -> None:
    word, _ = cast.plan(refusals=[400])
    session = cast.session(cast.agent())
    answer = cast.say(session, word)
    body = answer.json()
    assert (answer.status_code, body["success"], body["data"]) == (502, False, None)
    assert body["code"] == "agent_failed"
    assert "told to refuse" in body["error"]
    assert body["requestId"] == answer.headers["X-Request-ID"]
    assert len(cast.model.calls_of(word)) == 1
    after, _ = cast.plan()
    assert cast.say(session, after).status_code == 200


def test_a_passing_failure_is_tried_again(cast: Cast) -> None:
    word, _ = cast.plan(refusals=[503])
    session = cast.session(cast.agent())
    answer = cast.say(session, word)
    assert (answer.status_code, answer.json()["response"]["content"]) == (200, answer_to(word))
    (task,) = cast.all("/tasks", "tasks", sessionId=session)
    assert (task["status"], task["attempts"], task["error"]) == ("completed", 2, None)
    assert len(cast.model.calls_of(word)) == 2


def test_a_stream_of_an_answer_that_is_there_at_once_has_it_whole(live: Live) -> None:
    agent = live.echo_agent()
    with live.client() as client:
        session = client.post("/sessions", json={"agentType": "custom", "agentId": agent}).json()["session"]["id"]
        asked = {"content": "at once"}
        stream = client.post(f"/sessions/{session}/messages", json=asked, headers={"Accept": "text/event-stream"})
    beginning, delta, completed = stream.text.strip().split("\n\n")
    assert beginning == ": connected"
    assert delta == 'event: delta\ndata: {"content":"at once","offset":0}'
    assert completed.startswith("event: completed\n")
