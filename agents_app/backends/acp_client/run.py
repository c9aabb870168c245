"""One run of an agent, from its start to its answer. Imported at the first run only: the protocol's library is big."""

import os
import stat
import time

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.schema import PromptResponse
from pydantic import ValidationError

from ..base import Answer, BackendError, Reporter, Request
from . import failures
from .asking import Asking
from .desk import Desk, WorkspaceFiles
from .failures import Secrets
from .lines import STRANGE, Lines
from .memory import Memory, prompt
from .narration import Narration
from .places import Place, place
from .process import AgentProcess, to_the_end
from .program import Program
from .session import Session
from .tools import below
from .usage import tokens

NAME = "acp"
CUT_SHORT = frozenset({"max_tokens", "max_turn_requests"})
# A file's time is that of the system's last tick, which may lie a little before our clock.
TICK = 0.1


async def run(program: Program, path: str, request: Request, reporter: Reporter, files: WorkspaceFiles) -> Answer:
    """Start the program at `path`, ask it, and leave nothing of it. Raises BackendError."""
    async with place(request) as where:
        try:
            command = [path, *program.command[1:]]
            process = await AgentProcess.start(command, env=where.environment(program.env), cwd=where.work)
        except OSError as error:
            raise BackendError(f"the agent cannot be started: {error.strerror}", code="not_configured") from None
        try:
            return await Run(program, process, where, request=request, reporter=reporter, files=files).answer()
        finally:
            await to_the_end(process.stop())


class Run:
    """A running agent and what is asked of it."""

    def __init__(
        self,
        program: Program,
        process: AgentProcess,
        where: Place,
        *,
        request: Request,
        reporter: Reporter,
        files: WorkspaceFiles,
    ) -> None:
        self._program, self._process, self._where, self._request = program, process, where, request
        self._began = time.time() - TICK
        self._secrets = Secrets(program.env.values())
        self._narration = Narration(reporter, self._secrets)
        self._asking = Asking(where.work, request.permission_mode, self._narration)
        self._desk = Desk(where.work, files, self._asking, self._narration)
        self._lines = Lines(process.stdout, process.stdin)
        self._connection = Connection(self._desk, self._lines)
        self._session = Session(self._connection, where.work)

    async def answer(self) -> Answer:
        """Ask, and make of what comes an answer or an error without secrets."""
        try:
            return self._answer(await self._asked())
        except RequestError as error:
            raise failures.refused(error.code, str(error), error.data, self._secrets) from None
        except ValidationError:
            raise failures.nonsense(STRANGE) from None
        except ConnectionError:
            raise await self._gone() from None
        finally:
            await to_the_end(self._connection.close())

    async def _asked(self) -> PromptResponse:
        request, session = self._request, self._session
        await session.open(Memory.of(request.memory if self._goes_on() else {}))
        await session.set_up(self._program, request.permission_mode)
        turns = session.memory.unseen(request.messages)
        text = prompt(request, turns, "" if session.resumed else self._program.system)
        self._narration.begun = True
        response = await session.ask(text, self._asking.stopped)
        self._narration.end_of_thought()
        return response

    def _answer(self, response: PromptResponse) -> Answer:
        content, used = self._narration.text, tokens(response)
        reason = response.stop_reason
        if reason in ("refusal", "cancelled"):
            what = "refused to go on" if reason == "refusal" else "broke its turn off"
            raise BackendError(f"the agent {what}", tokens=used)
        truncated = reason in CUT_SHORT or self._narration.truncated
        if not (content.strip() or self._narration.uses or self._desk.written):
            code, transient = "empty_answer", not truncated
            raise BackendError("the agent answered with nothing", code=code, transient=transient, tokens=used)
        return Answer(
            content,
            result=None if self._request.is_message else {"content": content, "files": self._files()},
            tokens=used,
            backend=NAME,
            model=self._session.model,
            truncated=truncated,
            memory=self._session.memory.after(content).kept() if self._goes_on() else None,
        )

    def _goes_on(self) -> bool:
        """A session's messages are one conversation; its tasks, which may run beside them, are each their own."""
        return self._request.is_message and bool(self._request.workspace)

    def _files(self) -> list[str]:
        """What was really written: through us, or by the agent itself, as it says and as a look at the file shows."""
        said = {path for path in (below(self._where.work, name) for name in self._narration.changed) if path}
        return sorted({*self._desk.written, *filter(self._is_new, said)})

    def _is_new(self, path: str) -> bool:
        try:
            about = os.lstat(os.path.join(self._where.work, path))
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(about.st_mode) and about.st_mtime >= self._began

    async def _gone(self) -> BackendError:
        if self._lines.fault:
            return failures.nonsense(self._lines.fault)
        code = await self._process.exit_code()
        return failures.ended(code, self._process.last_words(), self._secrets)
