"""An agent made with the agent side of the protocol's own package: asks, reads and writes once."""

import asyncio
from typing import Any

import acp
from acp.schema import AgentCapabilities, PermissionOption, PromptResponse, ToolCallLocation, ToolCallUpdate, Usage

ONCE = PermissionOption(option_id="the-allow_once", name="Yes", kind="allow_once")


class Packaged:
    """Changes `a.txt` in its folder."""

    def on_connect(self, client: Any) -> None:
        self.client = client

    async def initialize(self, **_: Any) -> acp.InitializeResponse:
        return acp.InitializeResponse(protocol_version=acp.PROTOCOL_VERSION, agent_capabilities=AgentCapabilities())

    async def new_session(self, cwd: str, **_: Any) -> acp.NewSessionResponse:
        self.path = f"{cwd}/a.txt"
        return acp.NewSessionResponse(session_id="only")

    async def prompt(self, session_id: str, prompt: Any, **_: Any) -> PromptResponse:
        client, path = self.client, self.path
        call = ToolCallUpdate(tool_call_id="t", kind="edit", locations=[ToolCallLocation(path=path)])
        allowed = await client.request_permission(session_id=session_id, tool_call=call, options=[ONCE])
        await client.write_text_file(session_id=session_id, path=path, content="before")
        before = await client.read_text_file(session_id=session_id, path=path)
        await client.write_text_file(session_id=session_id, path=path, content="after")
        after = await client.read_text_file(session_id=session_id, path=path)
        said = f"{prompt[0].text}: {allowed.outcome.option_id}, {before.content}, {after.content}"
        await client.session_update(session_id=session_id, update=acp.update_agent_message_text(said))
        usage = Usage(total_tokens=5, input_tokens=4, output_tokens=1)
        return PromptResponse(stop_reason="end_turn", usage=usage)


if __name__ == "__main__":
    asyncio.run(acp.run_agent(Packaged()))
