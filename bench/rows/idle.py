"""Connections that were welcomed and say nothing: memory of our own, and how fast they are opened."""
import subprocess

from lib.build import OUT
from lib.greeters import C, OURS, contender, present
from lib.process import DRIVER_CORE, Failed, Program
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table


def hold(server, port, count):
    before = server.status_kib("RssAnon")
    with Program([OUT / "driver", port, count, 1, 0], core=DRIVER_CORE, stdout=subprocess.PIPE) as holder:
        # Each welcome was heard when it says how many a second: the server is done.
        line = holder.process.stdout.readline()
        if not line:
            raise Failed(f"{count:,} connections could not be opened")
        return (server.status_kib("RssAnon") - before) / count, float(line)


def idle(plan):
    count = plan.pick(5_000, 15_000)
    result = Table("Idle", "RssAnon, not what the kernel holds for a socket; opened one after the other.", [
        Column("own KiB each", ".2f", LESS, ratio=False),
        Column("opened/s", ",.0f", MORE),
    ])
    contenders = {
        name: contender(greeter, lambda server, port: hold(server, port, count)) for name, greeter in present(plan, [C, OURS])
    }
    result.add(f"{count:,} idle", in_turn(plan, contenders), plan.rounds)
    return [result]
