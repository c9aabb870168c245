"""One session with a running agent: it is opened, set up, asked once, and called off if need be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from acp.connection import Connection
from acp.exceptions import RequestError
from acp.meta import AGENT_METHODS, PROTOCOL_VERSION
from acp.schema import (
    CancelNotification,
    ClientCapabilities,
    FileSystemCapabilities,
    Implementation,
    InitializeRequest,
    InitializeResponse,
    LoadSessionRequest,
    LoadSessionResponse,
    NewSessionRequest,
    NewSessionResponse,
    PromptRequest,
    PromptResponse,
    SetSessionConfigOptionSelectRequest,
    SetSessionModeRequest,
    TextContentBlock,
)
from acp.utils import notify_model, request_model, request_model_from_dict, serialize_params

from ..base import BackendError
from . import choices
from .choices import MODE, MODEL, Choices
from .failures import AUTH_REQUIRED, nonsense
from .memory import Memory
from .process import to_the_end
from .program import Program

US = Implementation(name="task-master", title="Task Master", version="1")
WE_CAN = ClientCapabilities(fs=FileSystemCapabilities(read_text_file=True, write_text_file=True), terminal=False)
# For each step until it can be asked; some agents are fetched by their own launcher first.
START_SECONDS = 60.0
CALL_OFF_SECONDS = 0.2


class Session:
    """Speaks to one agent. Raises RequestError, ConnectionError, ValidationError, or BackendError for what is wrong."""

    def __init__(self, connection: Connection, cwd: str) -> None:
        self.memory = Memory()
        self.resumed = False
        self.model: str | None = None
        self._connection, self._cwd = connection, cwd
        self._choices: Choices = {}

    async def open(self, memory: Memory) -> None:
        """Go on with the remembered session where the agent can, else begin one."""
        asked = InitializeRequest(protocol_version=PROTOCOL_VERSION, client_capabilities=WE_CAN, client_info=US)
        async with _in_time():
            agent = await request_model(self._connection, AGENT_METHODS["initialize"], asked, InitializeResponse)
        if agent.protocol_version != PROTOCOL_VERSION:
            raise BackendError(f"the agent speaks version {agent.protocol_version} of the protocol, not 1")
        can_load = bool(agent.agent_capabilities and agent.agent_capabilities.load_session)
        async with _in_time():
            opened = (await self._load(memory) if can_load and memory.session_id else None) or await self._new()
        self._choices = choices.choices(opened)
        if not self.resumed and MODE in self._choices:
            self.memory = replace(self.memory, mode=self._choices[MODE].current)

    async def set_up(self, program: Program, permission_mode: str) -> None:
        """Have the agent use the configured model, and the mode that goes with the session's permission mode."""
        async with _in_time():
            if program.model:
                await self._choose(MODEL, program.model)
            mode = choices.wanted_mode(self._choices, permission_mode, program.mode, self.memory.mode)
            if mode:
                await self._choose(MODE, mode)
        self.model = program.model or (self._choices[MODEL].current if MODEL in self._choices else None)

    async def ask(self, text: str, stopped: "asyncio.Future[str]") -> PromptResponse:
        """Wait for the end of the turn. Raises BackendError where `stopped` has a reason before."""
        said = PromptRequest(session_id=self.memory.session_id, prompt=[TextContentBlock(type="text", text=text)])
        turn = asyncio.create_task(
            request_model(self._connection, AGENT_METHODS["session_prompt"], said, PromptResponse)
        )
        try:
            ends: set[asyncio.Future[Any]] = {turn, stopped}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                raise BackendError(f"stopped: {stopped.result()}", code="denied")
            return turn.result()
        finally:
            if not turn.done():
                await to_the_end(self._call_off(turn))

    async def _load(self, memory: Memory) -> LoadSessionResponse | None:
        asked = LoadSessionRequest(session_id=memory.session_id, cwd=self._cwd, mcp_servers=[])
        try:
            loaded = await request_model_from_dict(
                self._connection, AGENT_METHODS["session_load"], asked, LoadSessionResponse
            )
        except RequestError as error:
            if error.code == AUTH_REQUIRED:
                raise
            return None  # it is not known any more, or is on another machine
        self.memory, self.resumed = memory, True
        return loaded

    async def _new(self) -> NewSessionResponse:
        asked = NewSessionRequest(cwd=self._cwd, mcp_servers=[])
        begun = await request_model(self._connection, AGENT_METHODS["session_new"], asked, NewSessionResponse)
        self.memory = Memory(begun.session_id)
        return begun

    async def _choose(self, name: str, value: str) -> None:
        choices.check(self._choices, name, value)
        choice, session_id = self._choices[name], self.memory.session_id
        if choice.current == value:
            return
        if choice.option:
            asked = SetSessionConfigOptionSelectRequest(session_id=session_id, config_id=choice.option, value=value)
            await self._connection.send_request(AGENT_METHODS["session_set_config_option"], serialize_params(asked))
        else:
            mode = SetSessionModeRequest(session_id=session_id, mode_id=value)
            await self._connection.send_request(AGENT_METHODS["session_set_mode"], serialize_params(mode))

    async def _call_off(self, turn: "asyncio.Task[PromptResponse]") -> None:
        """Tell the agent, and give it a moment to end its turn by itself."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(CALL_OFF_SECONDS):
                cancel = CancelNotification(session_id=self.memory.session_id)
                await notify_model(self._connection, AGENT_METHODS["session_cancel"], cancel)
        await asyncio.wait({turn}, timeout=CALL_OFF_SECONDS)
        turn.cancel()
        await asyncio.gather(turn, return_exceptions=True)


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(START_SECONDS):
            yield
    except TimeoutError:
        raise nonsense(f"the agent did not answer within {START_SECONDS:.0f} seconds of its start") from None
