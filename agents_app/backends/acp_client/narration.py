"""What an agent tells while it works: the pieces of its answer, its thoughts, its tools and its plan."""

from acp.schema import (
    AgentMessageChunk,
    AgentPlanUpdate,
    AgentThoughtChunk,
    ContentChunk,
    SessionNotification,
    TextContentBlock,
    ToolCallProgress,
    ToolCallStart,
)

from ..base import Reporter
from ..wire.completion import LONGEST_ANSWER
from .failures import Secrets
from .tools import ENDED, Use, Uses

LONGEST_LINE = 500
MOST_LINES = 2_000
NO_MORE = "The agent tells more than is kept."
PASSED_ON = frozenset({"edit", "delete", "move"})


class Narration:
    """Passes on what is told once `begun`; before that an agent repeats the conversation that it was asked to load."""

    def __init__(self, reporter: Reporter, secrets: Secrets) -> None:
        self.reporter = reporter
        self.secrets = secrets
        self.begun = False
        self.truncated = False
        self.uses = Uses()
        # The files that it says it has changed, as it names them.
        self.changed: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        self._thought = ""
        self._lines = 0
        self._plan: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """The answer as far as it was told."""
        return "".join(self._pieces)

    def take(self, told: SessionNotification) -> None:
        """Take one update of the session. It must return at once, or later ones overtake it."""
        update = told.update
        if not self.begun:
            return
        if not isinstance(update, AgentThoughtChunk):
            self.end_of_thought()
        if isinstance(update, AgentThoughtChunk):
            self._think(text_of(update))
        elif isinstance(update, AgentMessageChunk):
            self._say(text_of(update))
        elif isinstance(update, ToolCallStart | ToolCallProgress):
            self._use(update)
        elif isinstance(update, AgentPlanUpdate):
            self._planned([(entry.status, entry.content) for entry in update.entries])

    def log(self, line: str) -> None:
        """A line for the task's log, short and without secrets."""
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.reporter.log(self.secrets.line(line, LONGEST_LINE))
        elif self._lines == MOST_LINES + 1:
            self.reporter.log(NO_MORE)

    def end_of_thought(self) -> None:
        """Log what was thought up to here."""
        thought, self._thought = self._thought, ""
        if thought.strip():
            self.log(f"thought: {thought}")

    def _think(self, text: str) -> None:
        self._thought += text
        if len(self._thought) > LONGEST_LINE:
            self.end_of_thought()

    def _say(self, text: str) -> None:
        fits = text[: LONGEST_ANSWER - self._length]
        self.truncated = self.truncated or len(fits) < len(text)
        if fits:
            self._length += len(fits)
            self._pieces.append(fits)
            self.reporter.delta(fits)

    def _use(self, update: ToolCallStart | ToolCallProgress) -> None:
        use = self.uses.told(update)
        if isinstance(update, ToolCallStart):
            self.log(f"tool: {use.title} ({use.kind})")
        if update.status in ENDED:
            self.log(f"tool {use.status}: {use.title}")
        if update.status == "completed" and use.kind in PASSED_ON:
            self._remember(use)

    def _remember(self, use: Use) -> None:
        if len(self.changed) < MOST_LINES:
            self.changed += use.all_paths[:MOST_LINES]

    def _planned(self, plan: list[tuple[str, str]]) -> None:
        if plan == self._plan or not plan:
            return
        self._plan = plan
        done = sum(status == "completed" for status, _ in plan)
        now = next((content for status, content in plan if status == "in_progress"), "")
        note = self.secrets.line(now, LONGEST_LINE)
        self.reporter.progress(done / len(plan), note)
        self.log(f"plan: {done} of {len(plan)} done" + (f", now: {note}" if note else ""))


def text_of(chunk: ContentChunk) -> str:
    """The text of a piece, "" for one of another kind."""
    return chunk.content.text if isinstance(chunk.content, TextContentBlock) else ""
