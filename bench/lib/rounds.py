"""How much is measured: rounds in which contenders take turns, and their medians."""
import statistics
import time
from dataclasses import dataclass, field

from lib.process import Failed


@dataclass
class Plan:
    """`--quick` or in full, and when the time of a row is over."""

    quick: bool
    left_out: set = field(default_factory=set)
    ends: float = float("inf")

    @property
    def rounds(self):
        return 3 if self.quick else 5

    def pick(self, quick, full):
        return quick if self.quick else full

    @property
    def seconds(self):
        """How long a driver runs."""
        return self.pick(0.2, 1.2)

    def allow(self, seconds):
        self.ends = time.monotonic() + seconds

    def has_time(self):
        return time.monotonic() < self.ends


@dataclass
class Result:
    """What came of a contender: its medians, of how many rounds, and what went wrong."""

    medians: tuple = ()
    rounds: int = 0
    failure: str = ""


def each_median(taken):
    return tuple(map(statistics.median, zip(*taken)))


def middle_round(number):
    """The whole round whose number there is the median, for numbers that belong together."""
    return lambda taken: sorted(taken, key=lambda one: one[number])[len(taken) // 2]


def in_turn(plan, contenders, rounds=None, middle=each_median):
    """Each contender once a round, so that a slow minute of the machine is everybody's. `contenders` are functions that
    return numbers, by name. Whoever fails is not asked again. When the row's time is over no new round begins."""
    samples = {name: [] for name in contenders}
    failures = {}
    for turn in range(rounds or plan.rounds):
        if turn and not plan.has_time():
            break
        for name, measure in contenders.items():
            if name in failures:
                continue
            try:
                samples[name].append(tuple(measure()))
            except Failed as failed:
                failures[name] = str(failed)
    return {
        name: Result(middle(taken) if taken else (), len(taken), failures.get(name, ""))
        for name, taken in samples.items()
    }
