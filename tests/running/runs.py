"""What was really run, told by whoever ran it: the model behind the agents, and runners."""

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live import Live

from .model import Call

RUNNER = Path(__file__).with_name("runner.py")


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a task, by the machine's monotonic clock; `whole` where it came to its own end."""

    agent: str
    task: str
    began: float
    ended: float
    whole: bool


def most_at_once(runs: Iterable[Run], of: Callable[[Run], str]) -> dict[str, int]:
    """How many ran at the busiest moment, by what `of` says of a run."""
    # One that ends at the moment at which another begins makes room for it.
    moments = sorted((moment, step, of(run)) for run in runs for moment, step in ((run.began, 1), (run.ended, -1)))
    now, most = Counter[str](), Counter[str]()
    for _, step, name in moments:
        now[name] += step
        most[name] = max(most[name], now[name])
    return dict(most)


def of_model(calls: Iterable[Call], agents: dict[str, str], tasks: dict[str, str]) -> list[Run]:
    """The model's calls as runs: of the agent by its key, of the task by its content."""
    return [
        Run(agents[call.key], tasks[call.content], call.began, call.ended or time.monotonic(), call.whole)
        for call in calls
        if call.key in agents
    ]


class Runner:
    """A runner process, and its book."""

    def __init__(self, live: Live, agent: str, seconds: float, book: Path) -> None:
        self.agent, self._book = agent, book
        env = {"TM_PORT": live.env["PORT"], "TM_ORG": live.org, "TM_TOKEN": live.token, "TM_AGENT": agent}
        about_it = {"SECONDS": str(seconds), "BOOK": str(book)}
        self._process = subprocess.Popen([sys.executable, RUNNER], env=env | about_it)
        self._killed = 0.0

    @property
    def lives(self) -> bool:
        """Whether nobody has killed it."""
        return not self._killed

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait(10)
        self._killed = self._killed or time.monotonic()

    def runs(self) -> list[Run]:
        """What it ran, up to now or to its death."""
        found: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
        for line in self._book.read_text().splitlines() if self._book.exists() else ():
            said = json.loads(line)
            found[said["task"], said["attempt"]] |= said
        until = self._killed or time.monotonic()
        return [
            Run(self.agent, said["task"], said["began"], said.get("ended", until), "ended" in said)
            for said in found.values()
        ]


class Crew:
    """The runner processes of a test."""

    def __init__(self, live: Live, folder: Path) -> None:
        self._live, self._folder = live, folder
        self.runners: list[Runner] = []

    def hire(self, agent: str, *, seconds: float = 0.0) -> Runner:
        """A new runner for that agent, which takes so long for each task."""
        book = self._folder / f"runs-{len(self.runners)}.jsonl"
        self.runners.append(Runner(self._live, agent, seconds, book))
        return self.runners[-1]

    def dismiss(self) -> None:
        """All of them at once."""
        for runner in self.runners:
            runner.kill()

    def runs(self) -> list[Run]:
        """What all of them ran."""
        return [run for runner in self.runners for run in runner.runs()]


@contextmanager
def hired(live: Live, folder: Path) -> Iterator[Crew]:
    """Runners that are gone afterwards."""
    crew = Crew(live, folder)
    try:
        yield crew
    finally:
        crew.dismiss()
