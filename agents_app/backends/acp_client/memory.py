"""What is remembered of an agent's session, and what the agent has to be told of the conversation because of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..base import Json, Request, Turn
from ..wire.chat import chat

# Characters of a prompt; a session's message is at most 256 KB and comes through whole.
LONGEST_PROMPT = 400_000
SPEAKERS = {"user": "User", "assistant": "Assistant"}


@dataclass(frozen=True, slots=True)
class Memory:
    """`session_id` is the agent's own; `last` stands for the last answer that it gave there to a message; `mode` is
    the mode that the session began in."""

    session_id: str = ""
    last: str = ""
    mode: str = ""

    @classmethod
    def of(cls, kept: Mapping[str, Json]) -> "Memory":
        """From what was kept, whatever that is."""
        found = {name: kept.get(name) for name in ("sessionId", "last", "mode")}
        session_id, last, mode = (value if isinstance(value, str) else "" for value in found.values())
        return cls(session_id, last, mode)

    def after(self, content: str) -> "Memory":
        """With a message answered."""
        return replace(self, last=mark(content))

    def kept(self) -> dict[str, str]:
        """As it is kept."""
        return {"sessionId": self.session_id, "last": self.last, "mode": self.mode}

    def unseen(self, turns: Sequence[Turn]) -> Sequence[Turn]:
        """What was said since the agent's last answer, as by another agent of the session."""
        for position in range(len(turns), 0, -1):
            if turns[position - 1].role == "assistant" and mark(turns[position - 1].content) == self.last:
                return turns[position:]
        return turns


def mark(content: str) -> str:
    """Stands for a text."""
    return hashlib.sha256(content.encode(errors="replace")).hexdigest()[:16]


def prompt(request: Request, turns: Sequence[Turn], system: str) -> str:
    """What the agent is asked, after what it has to know first: instructions, and turns that it has not seen."""
    *earlier, asked = chat(replace(request, messages=turns), system="", limit=LONGEST_PROMPT)
    parts = [system] if system else []
    if earlier:
        said = "\n\n".join(f"{SPEAKERS[turn['role']]}: {turn['content']}" for turn in earlier)
        parts.append(f"The conversation so far:\n\n{said}\n\nWhat is asked now:")
    return "\n\n".join([*parts, asked["content"]])
