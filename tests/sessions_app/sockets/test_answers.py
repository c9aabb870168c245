"""The answers to a socket's messages: acknowledged ones are told piece by piece, then once as a whole, in order."""

import asyncio
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from agents_app.models import Action
from sessions_app.models import Message, Session
from sessions_app.sockets import lookout as lookouts
from sessions_app.sockets.answers import Answers
from sessions_app.sockets.lookout import lookout
from taskmaster.core.wakeups import hub

from .fakes import FakeSink, settled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(alice):
    return Session.objects.create(org=alice.org, agent_type="custom")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A look takes no second."""
    monkeypatch.setattr(lookouts, "LOOK_SECONDS", 0.01)


class Scene:
    """A session, its messages, and a socket that has sent them."""

    def __init__(self, session):
        self.session, self.sink = session, FakeSink()
        self.answers = Answers(self.sink)
        self.count = 0

    async def post(self, **mark):
        """A message that the socket waits for: its id."""
        self.count += 1
        message = await in_thread(lambda: self.session.messages.create(position=self.count, content="?"))
        self.answers.follow(message.pk, mark)
        return message.pk

    async def end(self, message, content="", status="completed", *, signal=True, error=None):
        """It ends; the signal may be lost."""
        response = {"type": "text_response", "content": content} if status == "completed" else None
        at = timezone.now() + timedelta(milliseconds=self.count)
        self.count += 1
        changes = {"status": status, "response": response, "finished_at": at, "error": error}
        await in_thread(lambda: Message.objects.filter(pk=message).update(**changes))
        if signal:
            hub.hear([[f"message:{message}", None]])

    def say(self, message, content, offset, attempt=1):
        """A piece comes in."""
        data = {"event": "delta", "content": content, "offset": offset, "attempt": attempt}
        hub.hear([[f"live:{message}", data]])

    @property
    def told(self):
        """(type, message, content) of each frame."""
        return [(frame["type"], frame["messageId"], text_of(frame)) for frame in self.sink.frames]


def text_of(frame):
    return frame["response"]["content"] if "response" in frame else frame.get("content") or frame.get("code")


async def in_thread(call):
    """Database work, with the connection given back."""

    def run():
        try:
            return call()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def played(session, test):
    """Run it, and see that nothing is left behind."""

    async def run():
        scene = Scene(session)
        try:
            await test(scene)
        finally:
            scene.answers.stop()
        assert len(lookout) == 0
        assert not [key for key in hub._listeners if key.startswith(("live:", "message:"))]

    asyncio.run(run())


def test_an_answer_is_told_piece_by_piece_and_then_once_as_a_whole(session):
    async def scene(s):
        message = await s.post(ref=7)
        s.say(message, "He", 0)
        s.say(message, "llo", 2)
        await s.end(message, "Hello!")
        hub.hear([[f"message:{message}", None]])
        await settled(lambda: len(s.told) >= 4)
        await asyncio.sleep(0.05)
        assert s.told == [("delta", message, text) for text in ("He", "llo", "!")] + [("response", message, "Hello!")]
        assert [frame.get("offset") for frame in s.sink.frames] == [0, 2, 5, None]
        assert (s.sink.frames[-1]["ref"], s.sink.frames[-1]["status"]) == (7, "completed")

    played(session, scene)


def test_an_answer_that_was_there_before_anybody_waited_is_told(session):
    async def scene(s):
        message = await in_thread(lambda: s.session.messages.create(position=1, content="?"))
        await s.end(message.pk, "Hello")
        s.answers.follow(message.pk, {})
        await settled(lambda: s.told)
        assert s.told == [("response", message.pk, "Hello")]

    played(session, scene)


def test_a_lost_signal_is_made_up_for_by_a_look(session):
    async def scene(s):
        one, other = await s.post(), await s.post()
        await s.end(one, "Hello", signal=False)
        await settled(lambda: s.told)
        assert s.told == [("response", one, "Hello")]
        assert len(lookout) == 1
        await s.end(other, "Bye", signal=False)
        await settled(lambda: len(s.told) == 2)

    played(session, scene)


@pytest.mark.parametrize(("status", "code"), [("failed", "agent_failed"), ("cancelled", "invalid_state")])
def test_a_message_without_an_answer_is_told_as_an_error(session, status, code):
    async def scene(s):
        message = await s.post(ref="r")
        s.say(message, "He", 0)
        await s.end(message, status=status, error="It broke.")
        await settled(lambda: len(s.told) == 2)
        assert s.told == [("delta", message, "He"), ("error", message, code)]
        frame = s.sink.frames[-1]
        assert (frame["status"], frame["ref"]) == (status, "r")
        assert frame["details"]

    played(session, scene)


def test_the_next_answer_waits_until_the_one_before_has_been_told(session):
    async def scene(s):
        first, second = await s.post(), await s.post()
        s.say(first, "A", 0)
        s.say(second, "B", 0)  # From another process, whose signal was faster than that of the first one's end.
        assert s.told == [("delta", first, "A")]
        s.say(second, "C", 1)
        await s.end(first, "A")
        await settled(lambda: len(s.told) == 3)
        s.say(second, "D", 2)
        await s.end(second, "BCD")
        await settled(lambda: len(s.told) == 5)
        assert s.told[1:] == [
            ("response", first, "A"),
            ("delta", second, "BC"),
            ("delta", second, "D"),
            ("response", second, "BCD"),
        ]

    played(session, scene)


def test_answers_are_told_in_the_order_in_which_they_ended_whatever_the_order_of_the_signals(session):
    async def scene(s):
        messages = [await s.post() for _ in range(5)]
        for message in messages:
            await s.end(message, "x", signal=False)
        hub.hear([[f"message:{message}", None] for message in reversed(messages)])
        await settled(lambda: len(s.told) == 5)
        assert s.told == [("response", message, "x") for message in messages]

    played(session, scene)


def test_one_that_was_taken_back_is_told_before_those_that_go_on(session):
    async def scene(s):
        first, second, third = await s.post(), await s.post(), await s.post()
        await s.end(second, status="cancelled")
        await settled(lambda: s.told)
        s.say(first, "A", 0)
        await s.end(first, "A")
        await s.end(third, "C")
        await settled(lambda: len(s.told) == 4)
        assert [told[1] for told in s.told] == [second, first, first, third]

    played(session, scene)


def test_whoever_does_not_read_gets_later_what_it_missed_and_nothing_is_queued(session):
    async def scene(s):
        message = await s.post()
        s.say(message, "He", 0)
        s.sink.stop_reading()
        for number in range(50):
            s.say(message, "x", 2 + number)
        hub.hear([[f"live:{message}", {"event": "progress", "progress": 0.5, "message": ""}]])
        assert s.told == [("delta", message, "He")]
        s.sink.read()
        s.say(message, "y", 52)
        assert s.told[1:] == [("delta", message, "x" * 50 + "y")]
        s.sink.stop_reading()
        s.say(message, "z", 53)
        await s.end(message, "He" + "x" * 50 + "yz.")
        await asyncio.sleep(0.05)
        assert len(s.told) == 2
        s.sink.read()
        await settled(lambda: len(s.told) == 4)
        assert s.told[2:] == [("delta", message, "z."), ("response", message, "He" + "x" * 50 + "yz.")]

    played(session, scene)


def test_progress_and_questions_are_told_and_a_question_never_missed(session):
    async def scene(s):
        message = await s.post()
        key = f"live:{message}"
        hub.hear([[key, {"event": "progress", "progress": 0.5, "message": "half"}]])
        s.sink.stop_reading()
        hub.hear([[key, {"event": "progress", "progress": 0.6, "message": ""}]])
        hub.hear([[key, {"event": "action", "action": {"id": "action_1"}}]])
        assert s.sink.frames == [
            {"type": "progress", "messageId": message, "progress": 0.5, "message": "half"},
            {"type": "action", "messageId": message, "action": {"id": "action_1"}},
        ]

    played(session, scene)


def test_a_question_of_which_no_signal_told_is_told_once(session):
    def ask(message):
        Message.objects.filter(pk=message).update(task_id="task_1")
        about = {"session_id": session.pk, "task_id": "task_1", "message_id": message}
        return Action.objects.create(org=session.org, kind="tool", tool="Bash", input={}, **about).public()

    async def scene(s):
        message = await s.post()
        action = await in_thread(lambda: ask(message))
        await settled(lambda: s.sink.frames)
        hub.hear([[f"live:{message}", {"event": "action", "action": action}]])
        await asyncio.sleep(0.05)
        assert s.sink.frames == [{"type": "action", "messageId": message, "action": action}]

    played(session, scene)


def test_a_database_that_is_away_only_delays_an_answer(session, monkeypatch):
    from sessions_app.sockets import answers

    found = answers._first_ended
    failures = iter([True, True])

    def look(ids):
        if next(failures, False):
            raise OSError
        return found(ids)

    monkeypatch.setattr(answers, "_first_ended", look)

    async def scene(s):
        message = await s.post()
        await s.end(message, "Hello")
        await settled(lambda: s.told)
        assert s.told == [("response", message, "Hello")]

    played(session, scene)


def test_a_closed_socket_is_told_nothing_and_forgotten(session):
    async def scene(s):
        message = await s.post()
        s.sink.stop_reading()
        await s.end(message, "Hello")
        await asyncio.sleep(0.02)
        s.sink.serverClose(1000)
        s.say(message, "He", 0)
        s.answers.stop()
        await asyncio.sleep(0.02)
        assert s.told == []
        assert s.answers._telling.done()

    played(session, scene)
