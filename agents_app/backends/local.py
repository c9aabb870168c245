"""The embedded model: the `openai` backend pointed at the process that runs it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from ..local_model.settings import Endpoint, LocalModelSettings, Status
from .base import Answer, BackendError, Json, Reporter, Request, Unready
from .openai import OpenAIBackend

SYSTEM = (
    "You are a careful programming assistant. Answer the request directly and briefly. Put code into one fenced "
    "Markdown block that names its language. You cannot run code or see files that are not shown here: never claim "
    "that you did."
)
TEMPERATURE = 0.2
# Characters a token of code and English has at least; text that is denser is refused by count and tried again shorter.
CHARS_A_TOKEN = 2.5


class Model(Protocol):
    """The embedded model as this backend sees it; `LocalModel` is one."""

    settings: LocalModelSettings

    def status(self) -> Status:
        """How it is."""

    def endpoint(self) -> Endpoint | None:
        """Where it answers."""


class LocalBackend:
    """Answers on this machine's CPU. An agent's config may set `systemPrompt`, `temperature`, a lower `maxTokens`."""

    name = "local"
    remembers = True
    resumes = works_in_files = False

    def __init__(self, model: Model) -> None:
        self._model = model
        self._openai = OpenAIBackend(name=self.name)

    async def run(self, request: Request, reporter: Reporter) -> Answer:
        """Answer the request. Raises BackendError, a passing one while the model is not ready."""
        endpoint = self._model.endpoint()
        if endpoint is None:
            raise self._not_ready()
        answer = await self._openai.run(replace(request, config=self._config(request.config, endpoint)), reporter)
        return replace(answer, model=endpoint.model)

    def unready(self, config: Mapping[str, Json]) -> Unready | None:
        """Switched off is for good; fetching, starting and failing pass."""
        status = self._model.status()
        if status.state == "ready":
            return None
        if status.state == "fetching":
            return Unready(f"the embedded model's weights are being fetched ({status.fraction:.0%})", for_good=False)
        if status.state == "starting":
            return Unready("the embedded model is starting", for_good=False)
        return Unready(self._reason(status), for_good=status.state == "off")

    async def close(self) -> None:
        """Close the running loop's connections."""
        await self._openai.close()

    def _not_ready(self) -> BackendError:
        unready = self.unready({})
        reason, for_good = (unready.reason, unready.for_good) if unready else ("the embedded model is starting", False)
        return BackendError(reason, code="agent_not_ready", transient=not for_good)

    @staticmethod
    def _reason(status: Status) -> str:
        return status.detail if status.state == "off" else f"the embedded model is not running: {status.detail}"

    def _config(self, config: Mapping[str, Json], endpoint: Endpoint) -> dict[str, Json]:
        settings = self._model.settings
        wanted = config.get("maxTokens")
        lower = isinstance(wanted, int) and not isinstance(wanted, bool) and 0 < wanted < settings.max_output
        return {
            "baseUrl": endpoint.base_url,
            "apiKey": endpoint.api_key,
            "model": endpoint.model,
            "systemPrompt": config.get("systemPrompt") or SYSTEM,
            "temperature": config.get("temperature", TEMPERATURE),
            "maxTokens": wanted if lower else settings.max_output,
            "contextChars": int((settings.context - settings.max_output) * CHARS_A_TOKEN),
        }
