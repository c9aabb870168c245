"""The answer to one message, as far as a socket has been told of it."""

import zlib
from typing import Any

from .frames import Frame

# Characters that wait for a client that is behind; what comes then is made up for at the end.
MOST_WAITING = 65_536


class Following:
    """Pieces of the answer, in order and without holes; one that is lost, and what comes after it, waits for the end.

    `mark` is the client's, for the last frame to carry; `asked` are the questions that the client was told of.
    """

    def __init__(self, message_id: str, mark: Frame) -> None:
        self.message_id, self.mark = message_id, mark
        self.asked: set[str] = set()
        self._attempt = self._told = self._sum = 0
        self._waiting = ""

    def hear(self, data: dict[str, Any]) -> None:
        """A piece has come in."""
        if data["attempt"] > self._attempt:
            # The agent was asked again: its answer begins anew.
            self._attempt, self._told, self._sum, self._waiting = data["attempt"], 0, 0, ""
        known = self._told + len(self._waiting)
        follows = data["attempt"] == self._attempt and data["offset"] <= known
        if follows and len(self._waiting) < MOST_WAITING:
            self._waiting += data["content"][known - data["offset"] :]

    def piece(self) -> Frame | None:
        """What has not been told yet, for the client to be told now."""
        text, self._waiting = self._waiting, ""
        return self._frame(text)

    def rest(self, content: str) -> Frame | None:
        """What is missing of the whole answer, for whoever was told the beginning of just that."""
        beginning = content[: self._told]
        if not self._told or zlib.crc32(_bytes(beginning)) != self._sum:
            return None
        return self._frame(content[self._told :])

    def _frame(self, text: str) -> Frame | None:
        if not text:
            return None
        frame = {"type": "delta", "messageId": self.message_id, "content": text, "offset": self._told}
        self._told += len(text)
        self._sum = zlib.crc32(_bytes(text), self._sum)
        return frame


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
