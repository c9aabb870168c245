"""A provider's rate limit is kept by all who share a credential, and by them alone."""

import asyncio
import gc
from collections import deque

from agents_app.backends.wire.allowance import Allowance, Allowances, Limit

WINDOW = 0.1


async def spend(allowance: Allowance, times: list[float], takes: float = 0.0) -> None:
    """One request."""
    async with allowance.place():
        times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(takes)


def test_no_window_ever_holds_too_many() -> None:
    async def run() -> list[float]:
        allowance, times = Allowance(Limit(3, WINDOW)), list[float]()
        await asyncio.gather(*(spend(allowance, times) for _ in range(10)))
        return times

    times = asyncio.run(run())
    assert len(times) == 10
    assert all(later - earlier >= WINDOW * 0.99 for earlier, later in zip(times, times[3:], strict=False))


def test_a_request_counts_until_its_window_after_its_answer() -> None:
    async def run() -> float:
        allowance, times = Allowance(Limit(1, WINDOW)), list[float]()
        await asyncio.gather(spend(allowance, times, takes=0.05), spend(allowance, times))
        return times[1] - times[0]

    assert asyncio.run(run()) >= (WINDOW + 0.05) * 0.99


def test_who_comes_first_is_first() -> None:
    async def run() -> list[int]:
        allowance, order = Allowance(Limit(1, 0.01)), list[int]()

        async def one(number: int) -> None:
            async with allowance.place():
                order.append(number)

        await asyncio.gather(*map(one, range(6)))
        return order

    assert asyncio.run(run()) == [0, 1, 2, 3, 4, 5]


def test_who_is_cancelled_while_waiting_takes_no_place() -> None:
    async def run() -> None:
        allowance = Allowance(Limit(1, WINDOW))
        allowance.close(WINDOW / 2)
        waiting: deque[asyncio.Task[None]] = deque(asyncio.create_task(spend(allowance, [])) for _ in range(5))
        await asyncio.sleep(0)
        while waiting:
            waiting[0].cancel()
            await asyncio.wait({waiting.popleft()})
        await asyncio.sleep(WINDOW / 2)
        assert allowance.free

    asyncio.run(run())


def test_a_closed_limit_lets_nobody_send_until_it_opens() -> None:
    async def run() -> float:
        allowance, times = Allowance(Limit(5, 0.0)), list[float]()
        closed = asyncio.get_running_loop().time()
        allowance.close(WINDOW)
        allowance.close(0)  # a shorter wait does not open it
        assert not allowance.free
        await spend(allowance, times)
        return times[0] - closed

    assert asyncio.run(run()) >= WINDOW * 0.99


def test_what_is_used_up_is_not_free() -> None:
    async def run() -> None:
        allowance = Allowance(Limit(1, WINDOW))
        assert allowance.free
        await spend(allowance, [])
        assert not allowance.free

    asyncio.run(run())


def test_one_credential_has_one_allowance_of_a_kind() -> None:
    async def run() -> None:
        known = Allowances({"read": Limit(1, WINDOW), "create": Limit(1, WINDOW)})
        one = known.of("read", "url", "1", "key")
        assert known.of("read", "url", "1", "key") is one
        others = [known.of(*other) for other in (("create", "url", "1", "key"), ("read", "url", "1", "another"))]
        assert one not in others

    asyncio.run(run())


def test_an_allowance_lives_as_long_as_it_counts_anything_and_no_longer() -> None:
    known = Allowances({"read": Limit(1, WINDOW)})

    async def run() -> None:
        await spend(known.of("read", "key"), [])
        gc.collect()
        assert not known.of("read", "key").free
        await asyncio.sleep(WINDOW * 1.5)
        gc.collect()
        assert not known._known
        await spend(known.of("read", "key"), [])

    asyncio.run(run())
    gc.collect()
    assert not known._known  # its loop is gone
