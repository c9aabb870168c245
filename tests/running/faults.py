"""Ways to trouble the services that an installation uses, and nobody else's."""

import redis

from tests.live import Live


def forget_everything(live: Live) -> None:
    """Redis loses all that this installation has in it: queues, counters, groups."""
    with redis.Redis.from_url(live.env["REDIS_URL"]) as client:
        client.flushdb()


def cut_redis(live: Live) -> int:
    """Redis closes every connection of this installation. Returns how many."""
    with redis.Redis.from_url(live.env["REDIS_URL"]) as client:
        mine, number = client.client_id(), live.env["REDIS_URL"].rsplit("/", 1)[1]
        others = [one for one in client.client_list() if one["db"] == number and int(one["id"]) != mine]
        return sum(client.client_kill_filter(_id=one["id"]) for one in others)


def cut_database(live: Live) -> int:
    """PostgreSQL ends every connection of this installation. Returns how many."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    return len(live.sql(f"{query} AND pid <> pg_backend_pid()"))
