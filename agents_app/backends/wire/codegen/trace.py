"""Tells a run's log as it grows. The logs are an alpha part of the API: whatever happens to them, the run goes on."""

import asyncio
import json
from collections.abc import Callable

from ...base import BackendError, Json
from ..refusals import HIDDEN, storable
from .api import LOG_PAGE, LOGS, READ, CodegenApi

LONGEST_LINE = 1_000
# Fields of an entry that say what it is about, the most telling first.
TELLING = ("thought", "observation", "tool_input", "tool_output")


class Trace:
    """The log of one run. `told` counts the entries that were told; `tell` gets each line once, in order."""

    def __init__(self, api: CodegenApi, run_id: int, tell: Callable[[str], None], *, told: int = 0) -> None:
        self.told = told
        self._api = api
        self._run_id = run_id
        self._tell = tell
        self._gone = False

    async def catch_up(self) -> None:
        """Tell what is new, as far as that can be read without waiting: the run's own state comes first."""
        while not self._gone and self._api.free(LOGS, READ) and await self._page():
            pass

    async def finish(self, within: float) -> None:
        """Tell the rest, in so many seconds at most."""
        try:
            async with asyncio.timeout(within):
                while not self._gone and await self._page():
                    pass
        except TimeoutError:
            self._tell("The rest of the log could not be read in time.")

    async def _page(self) -> bool:
        """Tell one page; whether there may be another."""
        try:
            entries = await self._api.logs(self._run_id, self.told)
        except BackendError as error:
            self._gone = not error.transient
            return False
        for entry in entries:
            self.told += 1
            self._tell(line(entry, self._api.account.api_key))
        return len(entries) >= LOG_PAGE


def line(entry: Json, secret: str) -> str:
    """An entry in one line, such as `ACTION ripgrep_search: I need to find the function`."""
    if not isinstance(entry, dict):
        return _shown(entry, secret)
    head = " ".join(str(entry[name]) for name in ("message_type", "tool_name") if entry.get(name))
    about = next((entry[name] for name in TELLING if entry.get(name)), None)
    return _shown(": ".join(filter(None, [head, "" if about is None else _text(about)])), secret)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shown(value: Json, secret: str) -> str:
    text = storable(" ".join(_text(value).replace(secret, HIDDEN).split()))
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
