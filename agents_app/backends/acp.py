"""Any Agent Client Protocol agent, started as a child process in the session's workspace, over its standard streams."""

import asyncio
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from .acp_client.program import Program
from .base import Answer, BackendError, Json, Reporter, Request, Unready

if TYPE_CHECKING:
    from .acp_client.desk import WorkspaceFiles

LIBRARY = "acp"


class AcpBackend:
    """An agent's config has `command`, and may have `env`, `model`, `mode`, `systemPrompt`.

    `commands` are the programs that the operator lets be started, by name or by absolute path, `*` for any; `files`
    read and write a workspace. The agent has this process's user and network, and of its environment nothing.
    """

    name = "acp"
    remembers = resumes = works_in_files = True

    def __init__(self, commands: Collection[str], files: "WorkspaceFiles") -> None:
        self._commands = commands
        self._files = files

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Start the agent, ask it, and end it. Raises BackendError."""
        program = Program.of(request.config, self._commands)
        path = program.path()
        if path is None:
            raise BackendError(_missing(program), code="not_configured")
        # The protocol's library takes a third of a second and 30 MB: only a worker that runs such an agent has it.
        await asyncio.to_thread(import_module, LIBRARY)
        from .acp_client.run import run

        return await run(program, path, request, reporter, self._files)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Not configured or not allowed, for good; not installed here, which may be otherwise on another machine."""
        try:
            program = Program.of(config, self._commands)
        except BackendError as error:
            return Unready(str(error), for_good=True)
        return None if program.path() else Unready(_missing(program), for_good=False)


def _missing(program: Program) -> str:
    return f"{program.command[0]} is not installed on this machine"
