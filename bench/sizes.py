"""How long and how large."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """The measure of a run."""

    rounds: int
    seconds: float  # of one round of load
    count: int  # requests, where one client sends them one after the other
    tasks: int  # in a burst
    few: int  # rows of the small installation
    many: int  # rows of the large one
    waiting: int
    queued: int  # tasks that wait for one agent
    subscribers: int
    events: int  # in a burst that all subscribers are told
    steady: int  # events of one round, one after the other
    sockets: int  # that are idle


FULL = Size(
    rounds=5,
    seconds=3,
    count=500,
    tasks=2_000,
    few=1_000,
    many=1_000_000,
    waiting=1_000,
    queued=100_000,
    subscribers=500,
    events=10_000,
    steady=100,
    sockets=2_000,
)
QUICK = Size(
    rounds=3,
    seconds=1,
    count=100,
    tasks=200,
    few=1_000,
    many=50_000,
    waiting=200,
    queued=10_000,
    subscribers=500,
    events=2_000,
    steady=20,
    sockets=500,
)
