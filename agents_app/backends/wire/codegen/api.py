"""The calls of the Codegen API that an agent needs, inside its published limits."""

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
from yarl import URL

from ...base import BackendError, Json
from ..allowance import Allowance, Allowances, Limit
from ..refusals import broken
from ..session import beginning
from .account import CodegenAccount
from .refusals import WHO, refused
from .run import Run

# docs.codegen.com, API reference. No limit is told for resuming, so it counts as creating; the limit of the logs
# stands beside that of all reads, so that they count in both.
CREATE, READ, LOGS = "create", "read", "logs"
PUBLISHED: Mapping[str, Limit] = {CREATE: Limit(10, 60), READ: Limit(60, 30), LOGS: Limit(60, 60)}
LOG_PAGE = 100
LIST_PAGE = 100
LONGEST_BODY = 8 * 1024 * 1024


class CodegenApi:
    """One credential's calls. All raise BackendError; `within` bounds each answer, in seconds."""

    def __init__(
        self, account: CodegenAccount, session: aiohttp.ClientSession, allowances: Allowances, within: float
    ) -> None:
        self.account = account
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=within)
        credential = (str(account.base), str(account.org), account.api_key)
        self._allowances = {kind: allowances.of(kind, *credential) for kind in PUBLISHED}

    async def create(self, prompt: str, task_id: str) -> Run:
        """Start a run that can be found again by its task's id."""
        body = {"prompt": prompt, **self.account.options, "metadata": {"source": "task-master", "taskId": task_id}}
        return Run.of(await self._call("POST", self.account.url("agent", "run"), CREATE, json=body))

    async def resume(self, run_id: int, prompt: str) -> Run:
        """Have a run that has ended go on with another prompt."""
        body = {"agent_run_id": run_id, "prompt": prompt}
        return Run.of(await self._call("POST", self.account.url("agent", "run", "resume"), CREATE, json=body))

    async def get(self, run_id: int) -> Run:
        """How a run is now."""
        return Run.of(await self._call("GET", self.account.url("agent", "run", run_id), READ))

    async def find(self, task_id: str) -> Run | None:
        """The newest run that was created for a task, among the last hundred made through the API."""
        query = {"source_type": "API", "limit": str(LIST_PAGE)}
        page = await self._call("GET", self.account.url("agent", "runs"), READ, params=query)
        found = page.get("items") if isinstance(page, dict) else None
        runs = map(Run.of, found if isinstance(found, list) else [])
        return next((run for run in runs if run.task_id == task_id), None)

    async def logs(self, run_id: int, skip: int) -> list[Json]:
        """A page of a run's log, oldest first; fewer than LOG_PAGE entries where it is the last."""
        url = self.account.url("agent", "run", run_id, "logs", version="v1/alpha")
        page = await self._call("GET", url, LOGS, READ, params={"skip": str(skip), "limit": str(LOG_PAGE)})
        found = page.get("logs") if isinstance(page, dict) else None
        if not isinstance(found, list):
            raise BackendError(f"{WHO} sent something that is no log")
        return found

    def free(self, *kinds: str) -> bool:
        """Whether such a request could be sent now."""
        return all(self._allowances[kind].free for kind in kinds)

    async def _call(self, method: str, url: URL, *kinds: str, **sent: Any) -> Json:
        asked = {"headers": self.account.headers, "timeout": self._timeout, "allow_redirects": False, **sent}
        async with AsyncExitStack() as places:
            for kind in kinds:
                await places.enter_async_context(self._allowances[kind].place())
            try:
                async with self._session.request(method, url, **asked) as response:
                    body = await beginning(response, LONGEST_BODY)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise broken(error, WHO) from None
        if response.status not in {200, 201}:
            raise self._refused(response, body, self._allowances[kinds[0]])
        return _parsed(body)

    def _refused(self, response: aiohttp.ClientResponse, body: bytes, allowance: Allowance) -> BackendError:
        text = body.decode(errors="replace")
        error = refused(response.status, response.headers, text, self.account.api_key, allowance.seconds)
        if error.limited and error.retry_after is not None:
            allowance.close(error.retry_after / 1000)
        return error


def _parsed(body: bytes) -> Json:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BackendError(f"{WHO} sent something that is not JSON", transient=True) from None
