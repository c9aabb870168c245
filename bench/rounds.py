"""Comparing two things on a noisy machine: in turns, and by the median of the turns."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rounds of a subject and of its baseline."""

    subject: list[float]
    baseline: list[float]

    @property
    def value(self) -> float:
        """The subject's median."""
        return median(self.subject)

    @property
    def base(self) -> float:
        """The baseline's median."""
        return median(self.baseline)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios: noise that lasts longer than a round falls out of it."""
        return median(mine / theirs for mine, theirs in zip(self.subject, self.baseline, strict=True))


def compare(subject: Measure, baseline: Measure, rounds: int) -> Comparison:
    """Measure both in every round, and begin with the other one each time."""
    taken: dict[Measure, list[float]] = {subject: [], baseline: []}
    for number in range(rounds):
        for measure in (subject, baseline) if number % 2 else (baseline, subject):
            taken[measure].append(measure())
    return Comparison(taken[subject], taken[baseline])
