"""The few threads in which sockets look at the database; each gives its connection back after every call."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import close_old_connections

T = TypeVar("T")

_pool = ThreadPoolExecutor(4, thread_name_prefix="sockets")


async def in_pool(call: Callable[[], T]) -> T:
    """Run a call that may use the database."""

    def run() -> T:
        try:
            return call()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_pool, contextvars.copy_context().run, run)
