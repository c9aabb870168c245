"""Messages over sockets: acknowledged, then told piece by piece, then once as a whole, in their order."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.live import SERVICES

from .cast import Cast
from .faults import cut_redis
from .model import answer_to
from .sockets import Frame, Socket, socket


def until_ended(one: Socket, seconds: float = 20) -> list[Frame]:
    """The frames of one answer, to its end."""
    frames: list[Frame] = []
    while not frames or frames[-1]["type"] not in ("response", "error"):
        frames.append(one.next(seconds=seconds))
    return frames


def check_pieces(frames: list[Frame], message: str, whole: str) -> None:
    """Pieces without a hole, then the whole."""
    *pieces, response = frames
    assert {frame["type"] for frame in pieces} <= {"delta"}
    assert {frame["messageId"] for frame in frames} == {message}
    text = ""
    for piece in pieces:
        assert piece["offset"] == len(text)
        text += piece["content"]
    assert text in ("", whole)
    assert (response["type"], response["status"], response["response"]["content"]) == ("response", "completed", whole)


def test_a_message_is_acknowledged_told_in_pieces_and_answered(cast: Cast) -> None:
    word, plan = cast.plan(pieces=5, pause=0.06)
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        ack = one.ask("message", content=word, metadata={"priority": "high", "mine": [1]})
        assert ack == {"type": "ack", "messageId": ack["messageId"]}
        frames = until_ended(one)
        assert len(frames) == plan.pieces + 1
        assert frames[-1].pop("ref") == 1
        check_pieces(frames, ack["messageId"], answer_to(word, 5))
        assert one.is_silent()
    stored = cast.message(session, ack["messageId"])
    assert (stored["metadata"], stored["status"]) == ({"priority": "high", "mine": [1]}, "completed")
    assert stored["response"] == frames[-1]["response"]


def test_an_answer_that_is_there_at_once_is_told_once_after_its_acknowledgement(cast: Cast) -> None:
    session = cast.session(cast.live.echo_agent())
    with socket(cast.live, session) as one:
        for number in range(20):
            one.send("message", content=f"{number}", ref=number)
        frames = [one.next() for _ in range(40)]
        assert one.is_silent()
    acks = [frame for frame in frames if frame["type"] == "ack"]
    responses = [frame for frame in frames if frame["type"] == "response"]
    assert [frame["ref"] for frame in acks] == [frame["ref"] for frame in responses] == list(range(20))
    assert [frame["messageId"] for frame in acks] == [frame["messageId"] for frame in responses]
    assert [frame["response"]["content"] for frame in responses] == [f"{number}" for number in range(20)]
    for ack, response in zip(acks, responses, strict=True):
        assert frames.index(ack) < frames.index(response)


def test_answers_come_in_order_and_no_piece_before_the_answer_before(cast: Cast) -> None:
    word, _ = cast.plan(pieces=3, pause=0.03)
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        acks = [one.ask("message", content=f"{word} {number}")["messageId"] for number in range(4)]
        for number, message in enumerate(acks):
            check_pieces(until_ended(one), message, answer_to(f"{word} {number}", 3))


def test_a_message_that_fails_is_told_once_as_an_error(cast: Cast) -> None:
    word, _ = cast.plan(refusals=[400])
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        ack = one.ask("message", content=word)
        (frame,) = until_ended(one)
        assert (frame["code"], frame["messageId"], frame["status"]) == ("agent_failed", ack["messageId"], "failed")
        assert (frame["ref"], type(frame["error"])) == (1, str)
        assert one.is_silent()


def test_a_message_that_is_taken_back_is_told_once_as_an_error(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        running, waiting = (one.ask("message", content=f"{word} {number}")["messageId"] for number in range(2))
        cast.asked(f"{word} 0")
        for message in (waiting, running):
            cast.client.post(f"/sessions/{session}/messages/{message}/cancel").raise_for_status()
            frame = one.of_type("error")
            assert (frame["code"], frame["messageId"], frame["status"]) == ("invalid_state", message, "cancelled")
        assert [frame for frame in one.unread if frame["type"] != "delta"] == []
    assert plan.go is not None
    plan.go.set()


def test_a_message_outlasts_the_time_that_rest_would_wait(cast: Cast) -> None:
    word, plan = cast.plan(go=cast.gate())
    session = cast.session(cast.agent(), timeout=1000)
    with socket(cast.live, session) as one:
        message = one.ask("message", content=word)["messageId"]
        time.sleep(1.5)
        assert one.ask("ping")["type"] == "pong"
        assert plan.go is not None
        plan.go.set()
        check_pieces(until_ended(one), message, answer_to(word))


def test_an_agent_that_is_asked_again_is_told_from_its_beginning(cast: Cast) -> None:
    word, _ = cast.plan(pieces=3, refusals=[503], retry_after=1)
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        message = one.ask("message", content=word)["messageId"]
        check_pieces(until_ended(one), message, answer_to(word, 3))


def test_what_others_say_is_told_to_them_alone(cast: Cast) -> None:
    word, _ = cast.plan(pieces=3, pause=0.05)
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one, socket(cast.live, session) as other:
        message = one.ask("message", content=f"{word} one")["messageId"]
        cast.post(session, f"{word} rest")
        check_pieces(until_ended(one), message, answer_to(f"{word} one", 3))
        assert other.is_silent(0.5)
        assert one.is_silent(0)


def test_whoever_closes_the_socket_takes_nothing_back(cast: Cast) -> None:
    session = cast.session(cast.agent())
    word, _ = cast.plan(pieces=3, pause=0.1)
    with socket(cast.live, session) as one:
        message = one.ask("message", content=word)["messageId"]
    assert cast.ended(session, message)["response"]["content"] == answer_to(word, 3)


def test_what_a_session_refuses_is_refused_here_too(cast: Cast) -> None:
    session, gone = cast.session(cast.live.echo_agent()), cast.live.echo_agent()
    orphan = cast.session(gone)
    cast.client.delete(f"/agents/{gone}").raise_for_status()
    cast.live.sql(f"UPDATE sessions_app_session SET status = 'expired' WHERE id = '{session}'")
    with socket(cast.live, session) as one:
        answer = one.ask("message", content="x")
        assert (answer["code"], answer["details"]) == ("invalid_state", [{"field": "status", "message": "expired"}])
    with socket(cast.live, orphan) as one:
        assert one.ask("message", content="x")["code"] == "no_agent"
    assert cast.messages(session) == cast.messages(orphan) == []


def test_many_sockets_are_answered_at_once(cast: Cast) -> None:
    word, _ = cast.plan(pieces=3, pause=0.02)
    agent = cast.agent(limit=50)

    def talk(number: int) -> list[Any]:
        session = cast.session(agent)
        with socket(cast.live, session) as one:
            message = one.ask("message", content=f"{word} {number}")["messageId"]
            check_pieces(until_ended(one), message, answer_to(f"{word} {number}", 3))
            return [message]

    with ThreadPoolExecutor(12) as pool:
        assert len(list(pool.map(talk, range(36)))) == 36


def test_a_lost_signal_delays_an_answer_by_a_moment(cast: Cast) -> None:
    """Redis forgets who listens; pieces may be lost, the answer is not."""
    word, plan = cast.plan(pieces=3, go=cast.gate())
    session = cast.session(cast.agent())
    with socket(cast.live, session) as one:
        message = one.ask("message", content=word)["messageId"]
        one.of_type("delta")
        if SERVICES:
            assert cut_redis(cast.live) > 0
        assert plan.go is not None
        plan.go.set()
        frames = until_ended(one, 10)
        assert frames[-1]["response"]["content"] == answer_to(word, 3)
        assert frames[-1]["messageId"] == message
