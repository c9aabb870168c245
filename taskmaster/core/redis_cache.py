"""Django's cache on Redis, its client kept: Django makes a new one for each call, which costs more than the call."""

from typing import Any, cast

from django.core.cache.backends.redis import RedisCache, RedisCacheClient

# What Django asks in two trips, and between them the key may go.
_COUNT_UP = """
    if redis.call("EXISTS", KEYS[1]) == 0 then return false end
    return redis.call("INCRBY", KEYS[1], ARGV[1])
"""


class _Client(RedisCacheClient):
    """One client for each of the connection pools, which Django keeps."""

    def __init__(self, servers: Any, **options: Any) -> None:
        super().__init__(servers, **options)
        self._kept: dict[int, Any] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        """The client for this key; it may be used by several threads."""
        of_django: Any = self
        pool = of_django._get_connection_pool(write)
        if id(pool) not in self._kept:
            self._kept[id(pool)] = of_django._client(connection_pool=pool)
        return self._kept[id(pool)]

    def incr(self, key: Any, delta: int) -> int:
        """The number under this key, after counting. Raises ValueError where there is none."""
        client = self.get_client(None, write=True)
        counted = client.register_script(_COUNT_UP)(keys=[key], args=[delta])
        if counted is None:
            raise ValueError(f"Key '{key}' not found.")
        return cast(int, counted)


class Cache(RedisCache):
    """The backend to be named in the settings."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client
