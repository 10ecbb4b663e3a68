"""Tables of results: ratios to the first contender of a row, and who is ahead of sockeye."""
import math
from dataclasses import dataclass, field

LESS, MORE = "less", "more"
OURS = "sockeye"
NOISE = 0.02


@dataclass
class Column:
    """One number: how it is written, whether a ratio stands behind it, and which way is better, if one is."""

    heading: str
    form: str
    better: str = ""
    ratio: bool = True


@dataclass
class Line:
    work: str
    name: str
    medians: tuple
    base: tuple


@dataclass
class Table:
    title: str
    note: str
    columns: list
    lines: list = field(default_factory=list)
    remarks: list = field(default_factory=list)

    def add(self, work, results, rounds):
        """What came of `in_turn`. The first contender that has a result is what the others are compared with."""
        base = None
        for name, result in results.items():
            if result.failure:
                self.remark(f"{work}: {name} failed: {result.failure}")
            if not result.rounds:
                continue
            base = base or result.medians
            self.lines.append(Line(work, name, result.medians, base))
            print(self.row(self.lines[-1]), flush=True)
            if result.rounds < rounds and not result.failure:
                self.remark(f"{work}: {result.rounds} of {rounds} rounds, then the time was over")

    def remark(self, text):
        if text not in self.remarks:
            self.remarks.append(text)
            print(text, flush=True)

    def row(self, line):
        cells = [line.work, line.name]
        for column, value, base in zip(self.columns, line.medians, line.base):
            cells.append("–" if math.isnan(value) else format(value, column.form))
            if column.ratio:
                cells.append(f"{value / base:.2f}" if base else "–")
        return "| " + " | ".join(cells) + " |"

    def heading(self):
        cells = ["work", "who"]
        for column in self.columns:
            cells.append(column.heading)
            if column.ratio:
                cells.append("ratio")
        return ["| " + " | ".join(cells) + " |", "|" + "---|" * len(cells)]

    def markdown(self):
        if not self.lines and not self.remarks:
            return []
        text = [f"## {self.title}", "", self.note, ""]
        if self.lines:
            text += [*self.heading(), *map(self.row, self.lines), ""]
        return text + [f"- {remark}" for remark in self.remarks] + ([""] if self.remarks else [])

    def ahead_of_us(self):
        """Who does a work better than sockeye, by more than the noise: the best peer, and the best reference."""
        peers, limits = [], []
        for work in dict.fromkeys(line.work for line in self.lines):
            lines = [line for line in self.lines if line.work == work]
            for index, column in enumerate(self.columns):
                ours = [line for line in lines if line.name.startswith(OURS)]
                if not column.better or not ours:
                    continue
                best = max if column.better == MORE else min
                own = best(line.medians[index] for line in ours)
                for found, kind in [(peers, False), (limits, True)]:
                    others = [line for line in lines if line not in ours and is_reference(line.name) == kind]
                    if not others:
                        continue
                    other = best(others, key=lambda line: line.medians[index])
                    value = other.medians[index]
                    if best(own * (1 + NOISE if column.better == MORE else 1 - NOISE), value) != value or own == value:
                        continue
                    ratio = f" ({own / value:.2f})" if value else ""
                    found.append(f"{self.title}, {work}, {column.heading}: {other.name} {value:{column.form}}, "
                                 f"{OURS} {own:{column.form}}{ratio}")
        return peers, limits


def is_reference(name):
    """Minimal C programs and true(1) are what the work costs at least; nobody would use them."""
    return name.startswith(("C ", "C,", "true"))
