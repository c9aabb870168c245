"""What the tests of the acp backend share: a session's folder, plain files, and a run of the small agent."""

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents_app.backends.acp import AcpBackend
from agents_app.backends.base import Answer, BackendError, Request

from .acp_agent import COMMAND
from .recorder import Recorder

SECRET = "sk-acp-do-not-show-me"


class PlainFiles:
    """Files without the care that the product's take; only what is spelled below the root is let through."""

    def read(self, root: str, path: str) -> str:
        return self._in(root, path).read_text()

    def write(self, root: str, path: str, text: str) -> None:
        target = self._in(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def _in(self, root: str, path: str) -> Path:
        found = Path(os.path.normpath(Path(root, path)))
        if not found.is_relative_to(root):
            raise ValueError("it leads outside of the workspace")
        return found


@dataclass
class Desktop:
    """A session's folder `work`, with its agent's environment beside it."""

    work: Path

    def backend(self) -> AcpBackend:
        return AcpBackend(["*"], PlainFiles())

    def request(self, *behaviour: Any, env: Any = None, config: Any = None, **fields: Any) -> Request:
        """A message for the small agent that behaves so."""
        words = [word if isinstance(word, str) else json.dumps(word) for word in behaviour]
        settings = {"command": [*COMMAND, *words], "env": {"KEY": SECRET, **(env or {})}, **(config or {})}
        asked = {"content": "Hello", "is_message": True, "workspace": str(self.work), "session_id": "s", **fields}
        return Request("task_1", "org_1", "agent_1", "message", config=settings, **asked)

    def run(self, *behaviour: Any, recorder: Recorder | None = None, **more: Any) -> Answer:
        """Have it answer."""
        request = self.request(*behaviour, **more)
        answer = self.backend().run(request, recorder or Recorder())
        return asyncio.run(asyncio.wait_for(answer, 10))

    def fail(self, *behaviour: Any, **more: Any) -> BackendError:
        """Have it fail."""
        with pytest.raises(BackendError) as caught:
            self.run(*behaviour, **more)
        assert SECRET[:8] not in str(caught.value)
        return caught.value
