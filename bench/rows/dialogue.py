"""One request at a time on 1 to 10,000 connections, and batches of 100 on 16."""
from lib.greeters import C, GREETERS, MEMCACHED, OURS, PYTHON, REDIS, contender, drive, present
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table

CONNECTIONS = [1, 64, 1_000, 10_000]


def table(title, note):
    return Table(title, note, [
        Column("answers/s", ",.0f", MORE),
        Column("CPU s per M", ".3f", LESS),
        Column("p99 ms", ",.2f", LESS, ratio=False),
    ])


def turns(plan, names, connections, batch, seconds):
    return {
        name: contender(greeter, lambda server, port, greeter=greeter: drive(server, port, connections, batch, seconds, greeter.asked)[:3])
        for name, greeter in present(plan, names)
        if connections <= greeter.most
    }


def one_at_a_time(plan):
    result = table("Dialogue", "One question at a time on each connection; every byte of the answers is checked.")
    for connections in CONNECTIONS:
        names = [C, OURS, PYTHON] if connections == 1 else GREETERS
        # With 10,000 open a turn of the loop takes a tenth of a second: measure several.
        seconds = plan.pick(0.5, 1.5) if connections > 1000 else plan.seconds
        work = f"{connections:,} connection{'s' if connections > 1 else ''}"
        result.add(work, in_turn(plan, turns(plan, names, connections, 1, seconds)), plan.rounds)
    return [result]


def batches(plan):
    result = table("Batches", "100 questions in one write, on 16 connections; the percentile is that of a whole batch.")
    names = [C, OURS, PYTHON, REDIS, MEMCACHED]
    result.add("batches of 100 on 16", in_turn(plan, turns(plan, names, 16, 100, plan.seconds)), plan.rounds)
    return [result]
