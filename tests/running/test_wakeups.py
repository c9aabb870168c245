"""The row is the truth: work whose wake-up was lost is found all the same."""

import signal

from tests.live import SERVICES

from .cast import Cast
from .faults import forget_everything
from .ledger import all_events, ends

SESSIONS, MESSAGES, TASKS = 3, 3, 4


class Unheard:
    """Messages and tasks that no worker has been told of."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.word, _ = cast.plan()
        self.agent = cast.agent()

    def post(self) -> None:
        """Post them."""
        sessions = [self.cast.session(self.agent) for _ in range(SESSIONS)]
        self.messages = [(s, self.cast.post(s, f"{self.word} {s} {n}")) for s in sessions for n in range(MESSAGES)]
        self.tasks = [self.cast.task(self.agent, f"{self.word} {n}") for n in range(TASKS)]
        assert [call for call in self.cast.model.calls if call.content.startswith(self.word)] == []

    def check(self) -> None:
        """All were done, once."""
        for message in self.messages:
            assert self.cast.ended(*message)["status"] == "completed"
        events = all_events(self.cast)
        assert [ends(events, "message")[pk] for _, pk in self.messages] == [["completed"]] * SESSIONS * MESSAGES
        assert [ends(events, "task")[pk] for pk in self.tasks] == [["completed"]] * TASKS
        calls = [call for call in self.cast.model.calls if call.content.startswith(self.word)]
        assert len(calls) == SESSIONS * MESSAGES + TASKS


def test_work_between_the_commit_and_the_wake_up_survives_a_kill(cast: Cast) -> None:
    unheard = Unheard(cast)
    if SERVICES:
        for name in cast.live.names("worker"):
            cast.live.processes[name].send_signal(signal.SIGSTOP)
        unheard.post()
        cast.live.kill_all(*cast.live.names("worker"))
        forget_everything(cast.live)
    else:
        cast.client.post(f"/agents/{unheard.agent}/pause").raise_for_status()
        unheard.post()
        cast.live.kill_all()
        # As if the agent had been active, and the process had ended before it told itself of the work.
        cast.live.sql(f"UPDATE agents_app_agent SET status = 'active' WHERE id = '{unheard.agent}'")
    cast.live.start()
    unheard.check()
