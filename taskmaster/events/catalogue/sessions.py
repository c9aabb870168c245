"""The events of sessions and messages."""

from .event_type import EventType
from .fields import Fields, flag, group, one_of, text, whole
from .shared import AGENT_TYPE, CODE, ERROR

_SESSION = {"sessionId": text("The session.", "session_123456789")}
_MESSAGE = {"messageId": text("The message.", "msg_123456789"), **_SESSION}
_OPENED = {
    "agentType": AGENT_TYPE,
    "agentId": text("The agent that it is pinned to, if any.", "agent_123456789").nullable(),
}
_SPOKEN = {
    "processingTime": whole("How long it took, in milliseconds.", 1500),
    "tokensUsed": whole("What the model reported; 0 where none did.", 250),
    "agentId": text("The agent that answered.", "agent_123456789"),
    "backend": text("The backend that really spoke.", "claude"),
    "model": text("Its model, where it told.", "claude-sonnet").nullable(),
    "truncated": flag("Whether the answer was cut off."),
}
_RESPONSE = {
    "type": one_of("Whether there is a block of code in it.", "code_response", "text_response"),
    "content": text("The answer.", "// Generated React component code..."),
    "metadata": group("How it came about; it may have more members.", _SPOKEN, closed=False),
}
_PIECE = {
    "content": text("The piece.", "// Generated"),
    "offset": whole("How many characters of the answer are before it.", 0),
}


def _message(verb: str, meaning: str, more: Fields | None = None, *, live: bool = False) -> EventType:
    return EventType(f"message.{verb}", meaning, _MESSAGE | dict(more or {}), live=live)


SESSIONS = (
    EventType("session.created", "A session was opened.", _SESSION | _OPENED),
    EventType("session.expired", "A session was idle for too long; its messages can still be read.", _SESSION),
    EventType("session.deleted", "A session was deleted; what was unfinished of it is cancelled.", _SESSION),
)

MESSAGES = (
    _message("queued", "A message came in and waits for its turn."),
    _message("started", "An agent works on a message.", {"agentId": text("The agent.", "agent_123456789")}),
    _message("delta", "A piece of an answer, while it is written.", _PIECE, live=True),
    _message(
        "completed",
        "A message has its answer.",
        {"response": group("The answer, as `POST /sessions/{sessionId}/messages` gives it.", _RESPONSE)},
    ),
    _message("failed", "A message has no answer and will get none.", {"error": ERROR, "code": CODE}),
    _message("cancelled", "A message was taken back, or its session deleted."),
)
