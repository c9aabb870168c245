"""Answers the calls of other processes, while this one has a place for what they call for."""

import logging
import threading
from collections.abc import Callable
from functools import partial

from redis import RedisError

from taskmaster.core import calls
from taskmaster.core.database import quietly

logger = logging.getLogger(__name__)

# A claim that waits for an agent's row must not keep the next call waiting.
THREADS = 2
TAKE_SECONDS = 1.0
# How often it is looked at whether a place has become free, and how long after an error.
FULL_SECONDS, RETRY_SECONDS = 0.05, 1.0


class Callers:
    """A few threads that take calls; `answer` is called with the agent's id where `has_room` says yes."""

    def __init__(self, answer: Callable[[str], None], has_room: Callable[[], bool]) -> None:
        self._answer, self._has_room = answer, has_room
        self._ending = threading.Event()

    def start(self) -> None:
        """Begin to take calls."""
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"calls_{number}", daemon=True).start()

    def stop(self) -> None:
        """Take no more of them."""
        self._ending.set()

    def _work(self) -> None:
        while not self._ending.is_set():
            if not self._has_room():
                self._ending.wait(FULL_SECONDS)
                continue
            try:
                agent_id = calls.take(TAKE_SECONDS)
            except RedisError as error:
                logger.warning("no calls are heard: %s", type(error).__name__)
                self._ending.wait(RETRY_SECONDS)
                continue
            if agent_id and self._ending.is_set():
                calls.put_back(agent_id)
            elif agent_id:
                quietly(partial(self._answer, agent_id))
