"""Sockets: events told to many at once, how long that takes, and what a socket costs while nothing is told.

Beside a bare `websockets` broadcast, which knows no events, and Channels' `group_send`, which many would use.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.load import LoadProcess
from bench.result import Result
from bench.rounds import Comparison
from bench.servers import rss, settled
from bench.sizes import Size
from bench.sockets import allow_descriptors
from bench.subscribed import Told, bare_broadcast, bare_idle, group_send, subscribed_product

Json = dict[str, Any]
Asks = dict[str, Callable[[], Json]]
Seen = dict[str, list[Json]]

OF_BARE, TIMES_GROUP = 0.5, 5
TIMES_BARE_P50, TIMES_DEAF = 3, 1.5
KB_MORE = 40

# Channels' layers drop what lies past 100 messages: so few in a burst all arrive.
GROUP_BURST = 20
# A broadcast writes each frame by itself, which takes its time.
BARE_BURST = 400
# Where only the client is measured the frames are written so many at a time.
JOINED = 50
WARM = 50  # sockets, before the first is counted
RATE = 10  # events a second
BEHIND = 15_000  # events of 300 bytes: more than the system's buffers hold for one that does not read


def deliveries(folder: Path, size: Size) -> Iterator[Result]:
    """Frames a second to all subscribers, from the first event's writing to the last frame's arrival."""
    with _sides(folder, size.subscribers) as sides:
        counts = {"ours": size.events, "bare": BARE_BURST, "group": GROUP_BURST}
        sides["ours"].burst(100)
        seen = _in_turns({name: partial(side.burst, counts[name]) for name, side in sides.items()}, size.rounds)
        ceiling = median(sides["bare"].burst(100 * JOINED, joined=JOINED)["perSecond"] for _ in range(3))
    rates = {name: [one["perSecond"] for one in some] for name, some in seen.items()}
    bare, group = Comparison(rates["ours"], rates["bare"]), Comparison(rates["ours"], rates["group"])
    details: Json = {"subscribers": size.subscribers, "events": counts, "rounds": rates, "lost": _lost(seen)}
    details |= {"groupSend": group.base, "timesGroupSend": group.ratio, "clientCeiling": ceiling}
    details["eventsWrittenPerSecond"] = size.events / median(one["writtenIn"] for one in seen["ours"])
    met = bare.ratio >= OF_BARE and group.ratio >= TIMES_GROUP and not details["lost"]["ours"]
    target = f"ratio >= {OF_BARE}, >= {TIMES_GROUP} x group_send, none lost"
    yield Result("deliveries", bare.value, "deliveries/s", bare.base, bare.ratio, target, met, details)


def latency(folder: Path, size: Size) -> Iterator[Result]:
    """From an event's commit to its receipt, at ten events a second; also while one subscriber does not read."""
    with _sides(folder, size.subscribers) as sides, LoadProcess() as load:
        sides["ours"].burst(100)
        asks: Asks = {name: partial(side.steady, size.steady, RATE) for name, side in sides.items()}
        asks["deaf"] = partial(_beside_a_deaf_one, sides["ours"], load, size.steady)
        seen = _in_turns(asks, size.rounds)
    p50, p99 = ({name: [one[key] for one in some] for name, some in seen.items()} for key in ("p50", "p99"))
    bare, moved = Comparison(p99["ours"], p99["bare"]), median(p99["deaf"]) / median(p99["ours"])
    details: Json = {
        "subscribers": size.subscribers,
        "eventsPerSecond": RATE,
        "lost": _lost(seen),
        "p50": p50,
        "p99": p99,
    }
    details |= {"p50Ratio": Comparison(p50["ours"], p50["bare"]).ratio, "groupSend": median(p99["group"])}
    details |= {"timesWithOneThatDoesNotRead": moved}
    met = details["p50Ratio"] <= TIMES_BARE_P50 and bare.value <= details["groupSend"] and moved <= TIMES_DEAF
    met = met and not details["lost"]["ours"] and not details["lost"]["deaf"]
    target = f"p50 <= {TIMES_BARE_P50} x bare, <= group_send, <= {TIMES_DEAF} x with one that does not read, none lost"
    yield Result("delivery-latency", bare.value, "ms p99", bare.base, bare.ratio, target, met, details)


def memory(folder: Path, size: Size) -> Iterator[Result]:
    """What each idle socket adds to the server: with a subscription, against one that is only accepted."""
    allow_descriptors()
    with LoadProcess() as load:
        with subscribed_product(folder / "product", load) as told:
            ours = _each(told, size.sockets)
        with bare_idle(folder, load) as told:
            bare = _each(told, size.sockets)
    details = {"sockets": size.sockets, "more": ours - bare}
    target, met = f"<= {KB_MORE} KB more", ours - bare <= KB_MORE
    yield Result("socket-memory", ours, "KB each", bare, ours / bare, target, met, details)


@contextmanager
def _sides(folder: Path, subscribers: int) -> Iterator[dict[str, Told]]:
    """The product and its two baselines, each with as many subscribers, in a load process of their own."""
    allow_descriptors()
    with ExitStack() as stack:
        loads = [stack.enter_context(LoadProcess()) for _ in range(3)]
        sides = {
            "ours": stack.enter_context(subscribed_product(folder / "product", loads[0])),
            "bare": stack.enter_context(bare_broadcast(folder, loads[1])),
            "group": stack.enter_context(group_send(folder, loads[2])),
        }
        for side in sides.values():
            side.open(subscribers)
        yield sides


def _in_turns(asks: Asks, rounds: int) -> Seen:
    """What each answered in each round; every round begins with another one."""
    seen: Seen = {name: [] for name in asks}
    names = list(asks)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seen[name].append(asks[name]())
    return seen


def _beside_a_deaf_one(ours: Told, load: LoadProcess, count: int) -> Json:
    """What the others get while one more does not read; lost is also what that one has missed when it reads at last."""
    deaf = ours.heard_by(load)
    deaf.open(1, deaf=True)
    deaf.tell_the_deaf(BEHIND)
    others = ours.steady(count, RATE)
    missed = deaf.hear(BEHIND + count)["lost"]
    deaf.close()
    return others | {"lost": others["lost"] + missed}


def _lost(seen: Seen) -> dict[str, int]:
    return {name: sum(one["lost"] for one in some) for name, some in seen.items()}


def _each(told: Told, count: int) -> float:
    """Kilobytes."""
    told.open(WARM)
    before = settled(lambda: rss(told.pid))
    told.open(count)
    each = (settled(lambda: rss(told.pid)) - before) / count / 1000
    told.close()
    return float(each)
