"""What starting a program costs, from fork to its end. sockeye is copied first, as installing does: what a linker has
written lies in the page cache in small pieces, and mapping those costs a tenth of a start."""
import shutil
import time

from lib.build import OUT, SOCKEYE
from lib.process import Program, installed, on_the_drivers_core
from lib.rounds import in_turn
from lib.table import LESS, Column, Table

INSTALLED = OUT / "sockeye"

COMMANDS = {
    "C, a main that returns": [OUT / "nothing"],
    "true(1)": ["true"],
    "sockeye --version": [INSTALLED, "--version"],
    "nc -h": ["nc", "-h"],
    "curl --version": ["curl", "--version"],
}


def once(command):
    began = time.perf_counter()
    with Program(command, core=None) as program:
        cpu = program.finish()
    return (time.perf_counter() - began) * 1000, cpu * 1000


def start_up(plan):
    rounds = plan.pick(20, 100)
    result = Table("Start-up", f"Medians of {rounds} starts in turn.", [Column("wall ms", ".2f", LESS), Column("CPU ms", ".2f", LESS)])
    shutil.copy(SOCKEYE, INSTALLED)
    contenders = {}
    for name, command in COMMANDS.items():
        if installed(command[0]):
            contenders[name] = lambda command=command: once(command)
        else:
            plan.left_out.add(command[0])
    with on_the_drivers_core():
        result.add("start-up", in_turn(plan, contenders, rounds), rounds)
    result.remark(f"sockeye's binary: {SOCKEYE.stat().st_size / 2**20:.1f} MiB")
    return [result]
