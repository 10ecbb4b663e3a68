"""Connections that come, ask once and go: the work around a conversation."""
from lib.build import OUT
from lib.greeters import C, GREETERS, OURS, PYTHON, contender, present
from lib.process import output_of
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table

AT_ONCE = 64
MILLION = 1_000_000


def lives(server, port, seconds):
    rate, _, p99, _, cpu = output_of([OUT / "driver", "-s", server.pid, port, AT_ONCE, 0, seconds])
    return rate, cpu, p99 / 1000


def churn(plan):
    result = Table("Churn", f"A welcome, a name, its answer, `exit`, closed by the server; {AT_ONCE} at once.", [
        Column("connections/s", ",.0f", MORE),
        Column("CPU s per M", ".2f", LESS),
        Column("p99 ms", ",.2f", LESS, ratio=False),
    ])
    contenders = {
        name: contender(greeter, lambda server, port: lives(server, port, plan.seconds))
        for name, greeter in present(plan, [C, OURS, PYTHON])
    }
    result.add("churn", in_turn(plan, contenders), plan.rounds)
    return [result]


def million(plan):
    """What a million connections leave behind: not part of the default run."""
    result = Table("A million connections", f"Through one sockeye, {AT_ONCE} at once; what it holds before and after.", [
        Column("descriptors", ",.0f", ratio=False),
        Column("RssAnon KiB", ",.0f", ratio=False),
        Column("VmRSS KiB", ",.0f", ratio=False),
        Column("connections/s", ",.0f", ratio=False),
    ])

    def held(server):
        return server.descriptors(), server.status_kib("RssAnon"), server.status_kib("VmRSS")

    def act(server, port):
        output_of([OUT / "driver", "-n", 1000, port, AT_ONCE, 0, 0])  # what is allocated once, is
        before = held(server)
        rate, *_ = output_of([OUT / "driver", "-n", MILLION, port, AT_ONCE, 0, 0], most=600)
        return *before, 0, *held(server), rate

    found = in_turn(plan, {OURS: contender(GREETERS[OURS], act)}, rounds=1)[OURS]
    for work, part in [("before", slice(0, 4)), ("after", slice(4, 8))]:
        result.add(work, {OURS: type(found)(found.medians[part], found.rounds, found.failure)}, 1)
    return [result]
