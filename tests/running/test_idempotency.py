"""The same message posted again: because its answer was lost, or twice at once."""

import uuid
from functools import partial

from tests.live import until

from .cast import Cast, at_once
from .model import answer_to


def test_two_at_once_are_one_message_and_both_get_its_answer(cast: Cast) -> None:
    word, _ = cast.plan(pause=0.2)
    session = cast.session(cast.agent())
    key = uuid.uuid4().hex
    twins = at_once(*(partial(cast.say, session, word, idempotency_key=key) for _ in range(4)))
    answers = [future.result() for future in twins]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.json()["response"]["content"] for answer in answers} == {answer_to(word)}
    assert sorted(answer.headers.get("Idempotent-Replayed", "") for answer in answers) == ["", "true", "true", "true"]
    assert len({answer.json()["messageId"] for answer in answers}) == 1
    assert len(cast.messages(session)) == len(cast.model.calls_of(word)) == 1


def test_the_same_key_with_other_words_is_refused(cast: Cast) -> None:
    word, _ = cast.plan()
    session = cast.session(cast.agent())
    key = uuid.uuid4().hex
    assert cast.say(session, word, idempotency_key=key).status_code == 200
    answer = cast.say(session, f"{word} again", idempotency_key=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert len(cast.messages(session)) == 1


def test_a_202_is_replayed_and_its_location_has_the_answer(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent(), timeout=1000)
    key = uuid.uuid4().hex
    first = cast.say(session, word, idempotency_key=key)
    assert first.status_code == 202
    plan.go.set()
    ended = cast.ended(session, first.json()["messageId"])
    again = cast.say(session, word, idempotency_key=key)
    assert again.status_code in (200, 202)
    assert again.json()["messageId"] == first.json()["messageId"] == ended["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(cast.messages(session)) == len(cast.model.calls_of(word)) == 1


def test_who_lost_the_connection_gets_the_answer_with_the_same_key(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent())
    key = uuid.uuid4().hex
    connection = cast.hang(session, word, idempotency_key=key)
    cast.asked(word)
    connection.close()
    (again,) = at_once(lambda: cast.say(session, word, idempotency_key=key))
    until(lambda: again.done() or cast.waiting() >= 1, 8)
    assert not again.done()  # it waits, as the first one did
    plan.go.set()
    answer = again.result()
    assert answer.status_code == 200, answer.text
    assert (answer.status_code, answer.json()["response"]["content"]) == (200, answer_to(word))
    assert len(cast.messages(session)) == len(cast.model.calls_of(word)) == 1
