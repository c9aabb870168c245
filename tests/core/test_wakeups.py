"""Wake-ups: everything that is sent arrives once, in order, and nothing that fails takes the rest with it."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import msgpack
import pytest
from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings
from django.db import transaction

from taskmaster.core import wakeups
from taskmaster.core.wakeups import GROUP, Hub


class Layer(InMemoryChannelLayer):
    """The in-memory layer, which writes messages down as Redis' does, counts them, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__(capacity=100_000)
        self.messages = 0
        self.sending_fails = self.receiving_fails = 0
        self.received = 0

    @property
    def members(self) -> int:
        return len(self.groups.get(GROUP, {}))

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        msgpack.packb(message)
        if self.sending_fails:
            self.sending_fails -= 1
            raise ConnectionError
        self.messages += 1
        await super().group_send(group, message)

    async def receive(self, channel: str) -> dict[str, Any]:
        if self.receiving_fails:
            self.receiving_fails -= 1
            raise ConnectionError
        message: dict[str, Any] = await super().receive(channel)
        self.received += 1
        return message


def redis_layer() -> RedisPubSubChannelLayer:
    address = {"address": settings.REDIS_URL, "socket_timeout": None}
    return RedisPubSubChannelLayer(hosts=[address], prefix=f"test{uuid4().hex}")


class Loop:
    """An event loop in a thread, as the server has one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=wakeups._run, args=[self.loop], daemon=True)
        self.thread.start()

    def end(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(5)


def until(look: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def inside(hub: Hub, call: Callable[..., Any], *args: Any) -> Any:
    """Make a call in the hub's loop."""

    async def run() -> Any:
        return call(*args)

    return asyncio.run_coroutine_threadsafe(run(), hub.loop).result(5)


def joined(hub: Hub) -> None:
    """Wait until the hub hears itself."""
    heard: list[Any] = []
    inside(hub, hub.listen, "joined", heard.append)
    deadline = time.monotonic() + 5
    while not heard:
        assert time.monotonic() < deadline
        hub.send("joined")
        time.sleep(0.02)
    inside(hub, hub.unlisten, "joined", heard.append)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> Layer:
    found = Layer()
    monkeypatch.setattr(wakeups, "get_channel_layer", lambda: found)
    monkeypatch.setattr(wakeups, "RESTART_SECONDS", 0.05)
    return found


@pytest.fixture
def loop() -> Iterator[Loop]:
    found = Loop()
    yield found
    found.end()


@pytest.fixture
def hub(layer: Layer, loop: Loop) -> Hub:
    found = Hub()
    found.bind(loop.loop)
    joined(found)
    return found


@pytest.fixture(params=["memory", "redis"])
def real_hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, loop: Loop) -> Hub:
    if request.param == "redis" and not settings.REDIS_URL:
        pytest.skip("needs REDIS_URL")
    layer = redis_layer() if request.param == "redis" else Layer()
    monkeypatch.setattr(wakeups, "get_channel_layer", lambda: layer)
    found = Hub()
    found.bind(loop.loop)
    joined(found)
    return found


def test_a_signal_reaches_its_listeners_in_the_bound_loop(real_hub: Hub, loop: Loop) -> None:
    heard: list[tuple[Any, threading.Thread]] = []
    other: list[Any] = []
    inside(real_hub, real_hub.listen, "task:1", lambda data: heard.append((data, threading.current_thread())))
    inside(real_hub, real_hub.listen, "task:2", other.append)
    real_hub.send("task:1", {"content": "a", "offset": 1})
    until(lambda: heard)
    assert heard == [({"content": "a", "offset": 1}, loop.thread)]
    assert other == []


def test_thousands_of_signals_from_many_threads_all_arrive_in_the_order_of_their_key(real_hub: Hub) -> None:
    heard: defaultdict[str, list[int]] = defaultdict(list)
    real_hub.listen_prefix("many:", lambda key, data: heard[key].append(data))

    def send(name: str) -> None:
        for number in range(1500):
            real_hub.send(name, number)

    names = [f"many:{number}" for number in range(8)]
    threads = [threading.Thread(target=send, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: sum(map(len, heard.values())) >= 8 * 1500, 20)
    assert heard == {name: list(range(1500)) for name in names}


def test_a_signal_that_cannot_be_written_down_does_not_take_the_others_with_it(real_hub: Hub) -> None:
    heard: list[str] = []
    real_hub.listen_prefix("mixed:", lambda key, _: heard.append(key))
    real_hub.loop.call_soon_threadsafe(time.sleep, 0.1)  # So that they travel together.
    for key, data in (("mixed:1", 1), ("mixed:2", "\ud800"), ("mixed:3", object()), ("mixed:4", 2**70), ("mixed:5", 5)):
        real_hub.send(key, data)
    until(lambda: "mixed:5" in heard)
    assert heard == ["mixed:1", "mixed:5"]


def test_a_late_listener_hears_what_was_just_sent_in_order(hub: Hub) -> None:
    for number in range(3):
        hub.send("live:1", number)
    until(lambda: len(hub._recent_of.get("live:1", ())) == 3)
    heard: list[int] = []
    inside(hub, hub.listen, "live:1", heard.append)
    assert heard == [0, 1, 2]
    hub.send("live:1", 3)
    until(lambda: len(heard) == 4)
    assert heard == [0, 1, 2, 3]


def test_a_late_listener_does_not_hear_what_is_old_even_where_nothing_came_since(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "REMEMBERED_SECONDS", 0.1)
    hub.send("live:1", "old")
    until(lambda: "live:1" in hub._recent_of)
    time.sleep(0.15)
    heard: list[str] = []
    inside(hub, hub.listen, "live:1", heard.append)
    assert heard == []


def test_who_unlistens_hears_nothing_more_and_leaves_nothing_behind(hub: Hub) -> None:
    first: list[int] = []
    second: list[int] = []
    for heard in (first, second):
        inside(hub, hub.listen, "task:1", heard.append)
    hub.send("task:1", 1)
    until(lambda: first and second)
    inside(hub, hub.unlisten, "task:1", first.append)
    hub.send("task:1", 2)
    until(lambda: len(second) == 2)
    assert (first, second) == ([1], [1, 2])
    assert "task:1" in hub._listeners
    inside(hub, hub.unlisten, "task:1", second.append)
    inside(hub, hub.unlisten, "task:1", second.append)
    assert "task:1" not in hub._listeners


def test_a_prefix_listener_hears_every_key_with_the_prefix_and_no_other(hub: Hub) -> None:
    heard: list[tuple[str, Any]] = []
    hub.listen_prefix("cancel:", lambda key, data: heard.append((key, data)))
    for key in ("cancel:1", "cance", "other:cancel:", "cancel:2"):
        hub.send(key, key[-1])
    until(lambda: len(heard) == 2)
    assert heard == [("cancel:1", "1"), ("cancel:2", "2")]


def test_a_listener_that_raises_stops_neither_the_others_nor_the_signals_behind(hub: Hub, layer: Layer) -> None:
    heard: list[Any] = []

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    hub.listen_prefix("task:", broken)
    inside(hub, hub.listen, "task:1", broken)
    inside(hub, hub.listen, "task:1", heard.append)
    before = layer.received
    inside(hub, lambda: [hub.send("task:1", number) for number in range(3)])
    until(lambda: len(heard) == 3)
    assert heard == [0, 1, 2]
    assert layer.received == before + 1
    assert layer.members == 1


def test_signals_sent_close_together_travel_together(hub: Hub, layer: Layer) -> None:
    heard: list[int] = []
    inside(hub, hub.listen, "task:1", heard.append)
    before = layer.messages
    inside(hub, lambda: [hub.send("task:1", number) for number in range(1000)])
    until(lambda: len(heard) == 1000)
    assert heard == list(range(1000))
    assert layer.messages - before == 1000 / wakeups.SENT_TOGETHER


def test_what_is_remembered_is_bounded_by_number_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    hub.hear([[f"task:{number % 300}", number] for number in range(20_500)])
    assert len(hub._recent) == sum(map(len, hub._recent_of.values())) == 20_000
    assert hub._recent_of["task:0"][0] == 601  # 500 are forgotten; of this key the first two, numbers 1 and 301.
    monkeypatch.setattr(wakeups, "REMEMBERED_SECONDS", 0.01)
    time.sleep(0.02)
    hub.hear([["last", None]])
    assert list(hub._recent_of) == ["last"]


def test_what_waits_for_a_layer_that_hangs_is_bounded(
    layer: Layer, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "WAITING_SIGNALS", 50)
    hub = Hub()
    hub.bind(loop.loop)
    joined(hub)
    heard: list[int] = []
    inside(hub, hub.listen, "task:1", heard.append)
    inside(hub, lambda: [hub.send("task:1", number) for number in range(200)])
    until(lambda: len(heard) == 50)
    assert heard == list(range(150, 200))


def test_a_layer_that_fails_to_send_loses_that_message_alone(
    hub: Hub, layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    inside(hub, hub.listen, "task:1", heard.append)
    layer.sending_fails = 1
    hub.send("task:1", "lost")
    until(lambda: not layer.sending_fails)
    hub.send("task:1", "sent")
    until(lambda: heard)
    assert heard == ["sent"]
    assert "1 wake-ups not sent: ConnectionError" in caplog.messages


def test_a_layer_that_fails_to_receive_is_joined_again(
    hub: Hub, layer: Layer, caplog: pytest.LogCaptureFixture
) -> None:
    [channel] = layer.groups[GROUP]
    layer.receiving_fails = 3
    hub.send("task:0")  # Ends the `receive` that is under way.
    until(lambda: not layer.receiving_fails and layer.members == 1)
    assert caplog.messages.count("wake-ups interrupted: ConnectionError") == 3
    joined(hub)
    assert channel not in layer.groups[GROUP]
    assert layer.members == 1


def test_a_hub_that_the_layer_forgot_joins_again(layer: Layer, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The in-memory layer drops the members of a group after a day."""
    monkeypatch.setattr(wakeups, "REJOIN_SECONDS", 0.05)
    hub = Hub()
    hub.bind(loop.loop)
    joined(hub)
    inside(hub, layer.groups.clear)
    joined(hub)


def test_a_hub_that_is_bound_late_moves_and_hears_everything_once(layer: Layer, loop: Loop) -> None:
    hub = Hub()
    joined(hub)
    own = hub.loop
    hub.bind(loop.loop)
    until(lambda: layer.members == 1 and hub.loop is loop.loop)
    joined(hub)
    heard: list[tuple[int, threading.Thread]] = []
    inside(hub, hub.listen, "task:1", lambda data: heard.append((data, threading.current_thread())))
    for number in range(20):
        hub.send("task:1", number)
    hub.send("last")
    until(lambda: "last" in hub._recent_of)
    assert heard == [(number, loop.thread) for number in range(20)]
    assert layer.members == 1
    until(own.is_closed)


@pytest.mark.filterwarnings("ignore:coroutine 'Hub._receive_for_ever' was never awaited")
def test_a_hub_whose_loop_was_closed_goes_on_in_one_of_its_own(layer: Layer) -> None:
    hub, ended = Hub(), asyncio.new_event_loop()
    hub.bind(ended)
    hub.send("task:1", "scheduled in the old loop")
    ended.close()
    joined(hub)
    assert hub.loop is not ended
    heard: list[str] = []
    inside(hub, hub.listen, "task:1", heard.append)
    hub.send("task:1", "in the new one")
    until(lambda: "in the new one" in heard)
    assert heard == ["scheduled in the old loop", "in the new one"]
    hub.loop.call_soon_threadsafe(hub.loop.stop)


def test_a_process_that_only_listens_to_a_prefix_receives(layer: Layer) -> None:
    hub = Hub()
    hub.listen_prefix("cancel:", lambda *_: None)
    until(lambda: layer.members == 1)
    hub.loop.call_soon_threadsafe(hub.loop.stop)


@pytest.mark.django_db(transaction=True)
def test_a_signal_waits_for_the_commit_and_a_rollback_sends_none(hub: Hub) -> None:
    heard: list[str] = []
    hub.listen_prefix("commit:", lambda key, _: heard.append(key))
    with transaction.atomic():
        hub.send_on_commit("commit:never")
        transaction.set_rollback(True)
    with transaction.atomic():
        hub.send_on_commit("commit:later")
        hub.send("commit:now")
        until(lambda: heard)
    until(lambda: len(heard) == 2)
    assert heard == ["commit:now", "commit:later"]
