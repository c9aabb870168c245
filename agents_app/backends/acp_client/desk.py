"""Where an agent comes with what it tells and asks: its news, its permissions, the files of its workspace."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from acp.exceptions import RequestError
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    ReadTextFileRequest,
    ReadTextFileResponse,
    RequestPermissionRequest,
    RequestPermissionResponse,
    SessionNotification,
    WriteTextFileRequest,
)
from pydantic import ValidationError

from . import permissions
from .asking import Asking
from .diffs import lines_of
from .narration import Narration
from .tools import Change, Use, all_inside, below

WRITE = "fs/write_text_file"
NOT_THERE, NOT_PERMITTED, NOT_DONE = -32002, -32003, -32602


class WorkspaceFiles(Protocol):
    """The files of a workspace, safe from whatever leads out of it. Both raise an exception whose text says why not."""

    def read(self, root: str, path: str) -> str:
        """The text of a file, by its path, absolute or below `root`. It blocks."""

    def write(self, root: str, path: str, text: str) -> object:
        """Put a text there. It blocks."""


class Desk:
    """Answers one agent. `written` are the files that were written through it, relative to the workspace."""

    def __init__(self, root: str, files: WorkspaceFiles, asking: Asking, narration: Narration) -> None:
        self.written: list[str] = []
        self._root, self._files, self._asking, self._narration = root, files, asking, narration
        self._answers: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "session/request_permission": self._permission,
            "fs/read_text_file": self._read,
            WRITE: self._write,
        }

    async def __call__(self, method: str, params: Any, is_notification: bool) -> Any:
        """Answer a request, or take a notification. Raises RequestError, which the agent is answered with."""
        if is_notification:
            return self._hear(method, params)
        if method not in self._answers:
            raise RequestError.method_not_found(method)
        try:
            return await self._answers[method](params)
        except ValidationError as error:
            raise RequestError.invalid_params({"details": f"{error.error_count()} wrong"}) from None

    def _hear(self, method: str, params: Any) -> None:
        if method == "session/update":
            try:
                self._narration.take(SessionNotification.model_validate(params))
            except ValidationError:
                return  # a kind of update that is newer than we are, or nonsense

    async def _permission(self, params: Any) -> RequestPermissionResponse:
        asked = RequestPermissionRequest.model_validate(params)
        use = self._narration.uses.known(asked.tool_call)
        decision = await self._asking.decide(use)
        option = permissions.chosen(asked.options, decision)
        if option is None:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        if decision.allowed:
            self._asking.grant(use)
        return RequestPermissionResponse(outcome=AllowedOutcome(outcome="selected", option_id=option))

    async def _read(self, params: Any) -> ReadTextFileResponse:
        asked = ReadTextFileRequest.model_validate(params)
        text = await self._do("read", asked.path, self._files.read, self._root, asked.path)
        start = max(0, (asked.line or 1) - 1)
        end = None if asked.limit is None else start + asked.limit
        return ReadTextFileResponse(content="".join(lines_of(text)[start:end]))

    async def _write(self, params: Any) -> dict[str, Any]:
        asked = WriteTextFileRequest.model_validate(params)
        path = below(self._root, asked.path)
        if path is None or not all_inside(self._root, [path]):
            raise self._refusal("write", asked.path, NOT_DONE, "it leads outside of the workspace")
        if not self._asking.uses_grant(path, asked.content):
            await self._get_permission(path, asked.content)
        await self._do("write", asked.path, self._files.write, self._root, asked.path, asked.content)
        if path not in self.written:
            self.written.append(path)
        return {}

    async def _get_permission(self, path: str, text: str) -> None:
        """What an agent writes through us without having asked is asked about all the same."""
        try:
            old = await asyncio.to_thread(self._files.read, self._root, path)
        except Exception:
            old = None  # a new file, or one that cannot be shown
        change = Change(path, old, text)
        use = Use(WRITE, "edit", f"Write {path}", input={"path": path}, paths=(path,), changes=(change,))
        if old != text and not (await self._asking.decide(use)).allowed:
            raise RequestError(NOT_PERMITTED, f"not permitted to write {path}")

    async def _do(self, what: str, path: str, call: Callable[..., Any], *details: Any) -> Any:
        """Read or write, in a thread; whatever is refused is told to the agent and to the log."""
        try:
            return await asyncio.to_thread(call, *details)
        except Exception as error:
            reason = (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__
            code = NOT_THERE if what == "read" and not self._is_there(path) else NOT_DONE
            raise self._refusal(what, path, code, reason) from None

    def _refusal(self, what: str, path: str, code: int, reason: str) -> RequestError:
        self._narration.log(f"cannot {what} {path}: {reason}")
        return RequestError(code, f"cannot {what} {path}: {reason}")

    def _is_there(self, path: str) -> bool:
        return os.path.lexists(os.path.join(self._root, path))
