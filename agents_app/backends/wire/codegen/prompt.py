"""What a Codegen run is told: a run takes one text, so a conversation that it has not heard is written out in it."""

from collections.abc import Sequence
from dataclasses import replace

from ...base import Request, Turn
from ..chat import chat
from .run import digest

# The API tells of no bound. A message of the longest kind fits whole.
PROMPT_CHARS = 300_000
EARLIER = "This conversation came before, oldest first:"
NOW = "This is what is asked now:"
NAMES = {"user": "User", "assistant": "Assistant"}


def opening(request: Request) -> str:
    """The prompt of a new run: the conversation, then what is asked."""
    *earlier, asked = chat(request, system="", limit=PROMPT_CHARS)
    if not earlier:
        return asked["content"]
    told = [f"{NAMES[turn['role']]}:\n{turn['content']}" for turn in earlier]
    return "\n\n".join([EARLIER, *told, NOW, asked["content"]])


def follow_up(request: Request, said: str) -> str:
    """The prompt for a run that knows the conversation up to its own last answer, which `said` is the digest of."""
    return opening(replace(request, messages=_unheard(request.messages, said)))


def _unheard(messages: Sequence[Turn], said: str) -> Sequence[Turn]:
    """What others said after that answer: all of it where the answer is not to be found."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant" and digest(messages[index].content) == said:
            return messages[index + 1 :]
    return messages
