"""What an agent backend is: a coroutine from a request to an answer. It knows nothing of Django."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Json = Any


@dataclass(frozen=True, slots=True)
class Turn:
    """One finished exchange, or half of one, of a conversation: `role` is "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One piece of work for an agent.

    `content` is what the agent is asked: a message's text or a task's rendered description. `messages` are the
    conversation before it, oldest first. `config` is the agent's own, credentials included. `timeout` is in
    milliseconds and bounds the whole run; the caller enforces it by cancelling the coroutine. `workspace` is the
    absolute path of the session's directory, "" where there is none; `permission_mode` the session's. `memory` is what
    the agent's last answer in this session gave to be remembered.
    """

    task_id: str
    org_id: str
    agent_id: str
    type: str
    content: str
    session_id: str | None = None
    is_message: bool = False
    messages: Sequence[Turn] = ()
    requirements: Sequence[str] = ()
    context: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    timeout: int = 1_800_000
    workspace: str = ""
    permission_mode: str = "default"
    memory: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent made of a request.

    `content` is the text a person reads; `result` is a task's result object where the backend makes one itself.
    `tokens` is the usage that the model reported, 0 where it reported none, never a guess. `memory` is handed to the
    session's next request to this agent, such as the id of a conversation that the provider keeps.
    """

    content: str
    result: Mapping[str, Json] | None = None
    tokens: int = 0
    backend: str = ""
    model: str | None = None
    truncated: bool = False
    memory: Mapping[str, Json] | None = None


class BackendError(Exception):
    """An agent's failure. `transient` says whether another attempt may help; `retry_after` is in milliseconds.

    `tokens` is what the failed attempt used all the same. `limited` says that the provider's rate limit for the
    credential is reached: nothing is sent with it until `retry_after` has passed.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "agent_failed",
        transient: bool = False,
        retry_after: int | None = None,
        limited: bool = False,
        tokens: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.transient = transient
        self.retry_after = retry_after
        self.limited = limited
        self.tokens = tokens


@dataclass(frozen=True, slots=True)
class Question:
    """Something the agent may not do by itself: a use of `tool` with `input`.

    `key` names it within its run, so that the same question again is the same action. `diff` is the change to a file
    as a unified diff, `risk` is low, medium or high.
    """

    key: str
    tool: str
    input: Mapping[str, Json]
    diff: str | None = None
    risk: str = "medium"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided; `input` takes the place of the question's where it was edited.

    `always` asks that the tool be allowed from now on in this run, `on_deny` is "stop" where the run is to end.
    """

    allowed: bool
    reason: str = ""
    input: Mapping[str, Json] | None = None
    always: bool = False
    on_deny: str = ""


class Reporter(Protocol):
    """Where a running backend tells how it goes. All calls may be made from the event loop only; all but `ask` return
    at once."""

    def delta(self, text: str) -> None:
        """A piece of the answer's text, in order."""

    def progress(self, fraction: float, note: str = "") -> None:
        """How far the work is, 0 to 1."""

    def log(self, line: str) -> None:
        """A line for the task's log."""

    def remember(self, memory: Mapping[str, Json]) -> None:
        """Keep this at once for the session's or the task's next attempt, whatever becomes of this one."""

    async def ask(self, question: Question) -> Decision:
        """Wait, for as long as it takes, for a person's decision; the task is `waiting` meanwhile."""
        ...


class Backend(Protocol):
    """One kind of agent. `run` honours cancellation at once and leaks nothing when it is cancelled."""

    name: str
    # Whether it makes use of a request's earlier messages, of what it was given to remember, and of a workspace.
    remembers: bool
    resumes: bool
    works_in_files: bool

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Do the work. Raises BackendError for every failure that is the agent's own."""
        ...

    def unready(self, config: Mapping[str, Json]) -> "Unready | None":
        """Why this backend cannot run anything now, or None when it can. Must not block."""
        ...


@dataclass(frozen=True, slots=True)
class Unready:
    """A backend that cannot run. `for_good` means that waiting will not help: it is not configured."""

    reason: str
    for_good: bool
