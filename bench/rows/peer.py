"""What a peer can make a play cost, for each construct of the language: instructions for each byte that it says, of more and more
bytes, and the memory that is held. docs/costs.md has these figures."""
import subprocess

from lib.process import installed
from lib.rounds import Result
from lib.table import LESS, Column, Table
from rows.instructions import count, player

SIZES = [12, 24, 48]


def peer(plan):
    result = Table("What a peer can make a play cost", "Of the player alone, counted by callgrind; what starting costs is taken off. *Byte by "
                   "byte* are the last ones of 48 KiB.", [
        *[Column(f"instructions a byte of {size} KiB", ",.1f", LESS, ratio=False) for size in SIZES],
        Column("byte by byte", ",.0f", LESS, ratio=False),
        Column("KiB held", ",.0f", LESS, ratio=False),
    ])
    if not installed("valgrind"):
        plan.left_out.add("valgrind")
        return [result]
    program = player("costs")

    def each(name, way, size):
        said = int(subprocess.run([program, name, way, str(size)], check=True, capture_output=True, text=True).stdout)
        return (count(program, name, way, size) - count(program, name, way, size, "begin")) / said

    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        held, has_last_ones, name = line.split(maxsplit=2)
        whole = [each(name, "whole", size * 1024) for size in SIZES]
        last = each(name, "last", SIZES[-1] * 1024) if has_last_ones == "1" else float("nan")
        result.add(name, {"sockeye": Result((*whole, last, int(held) / 1024), plan.rounds)}, plan.rounds)
    return [result]
