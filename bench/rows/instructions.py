"""Instructions of the player for an exchange: callgrind counts the same whatever else the machine does."""
import json
import re
import subprocess

from lib.build import ROOT
from lib.process import installed
from lib.rounds import Result
from lib.table import LESS, Column, Table


def player(name="player"):
    """Builds one of the player's benchmarks, and tells where it is."""
    built = subprocess.run(
        ["cargo", "bench", "--quiet", "-p", "sockeye-transcript", "--bench", name, "--no-run", "--message-format=json"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout
    messages = map(json.loads, built.splitlines())
    return next(message["executable"] for message in messages if message.get("executable"))


def count(program, *arguments):
    said = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, *map(str, arguments)],
        check=True, capture_output=True, text=True).stderr
    return int(re.search(r"Collected : (\d+)", said)[1])


def instructions(plan):
    result = Table("Instructions", "Of the player alone, counted by callgrind; what starting costs is taken off.", [
        Column("instructions an exchange", ",.0f", LESS, ratio=False),
    ])
    if not installed("valgrind"):
        plan.left_out.add("valgrind")
        return [result]
    program = player()
    works = subprocess.run([program, "list"], check=True, capture_output=True, text=True).stdout
    for exchanges, name in (line.split(" ", 1) for line in works.splitlines()):
        few, many = 10, 10 + max(1, plan.pick(2_000, 20_000) // int(exchanges))
        each = (count(program, name, many) - count(program, name, few)) / (many - few) / int(exchanges)
        result.add(name, {"sockeye": Result((each,), plan.rounds)}, plan.rounds)
    return [result]
