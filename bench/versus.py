"""Two servers under the same load, in turns."""

from dataclasses import dataclass
from typing import Any

from .load import LoadProcess
from .result import Result
from .rounds import compare
from .sizes import Size

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Side:
    """A server and the requests that it is sent."""

    port: int
    requests: list[bytes]


def versus(name: str, load: LoadProcess, ours: Side, theirs: Side, size: Size, *, target: float | None) -> Result:
    """Requests per second of both, and how many times the baseline's are ours."""
    seen: dict[int, list[dict[str, Any]]] = {ours.port: [], theirs.port: []}

    def rate(side: Side) -> float:
        answer = load.load(side.port, side.requests, connections=CONNECTIONS, seconds=size.seconds)
        seen[side.port].append(answer)
        return float(answer["perSecond"])

    for side in (ours, theirs):
        load.load(side.port, side.requests, connections=CONNECTIONS, seconds=min(1, size.seconds))
    both = compare(lambda: rate(ours), lambda: rate(theirs), size.rounds)
    details = {"connections": CONNECTIONS, "rounds": both.subject, "baselineRounds": both.baseline}
    details |= {"refused": _sum(seen[ours.port]), "baselineRefused": _sum(seen[theirs.port])}
    details |= {"p50": _middle(seen[ours.port], "p50"), "p99": _middle(seen[ours.port], "p99")}
    details |= {"baselineP50": _middle(seen[theirs.port], "p50"), "baselineP99": _middle(seen[theirs.port], "p99")}
    wanted = None if target is None else f"ratio >= {target}"
    met = None if target is None else both.ratio >= target and not details["refused"]
    return Result(name, both.value, "requests/s", both.base, both.ratio, wanted, met, details)


def _sum(answers: list[dict[str, Any]]) -> int:
    return sum(answer["refused"] for answer in answers)


def _middle(answers: list[dict[str, Any]], key: str) -> float:
    return float(sorted(answer[key] for answer in answers)[len(answers) // 2])
