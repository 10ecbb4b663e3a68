"""One client that plays a long conversation: `talk --play` beside the least that it can cost, the whole process."""
import time

from lib.build import OUT, SOCKEYE
from lib.process import DRIVER_CORE, Program, free_port, serve
from lib.rounds import in_turn
from lib.table import LESS, Column, Table

EXCHANGE = "C: Michael\nS: Hello, Michael!\n"


def play(command):
    """Seconds, and CPU seconds, of a client at a server of its own."""
    port = free_port()
    with serve([OUT / "greet", port], port):
        began = time.perf_counter()
        with Program(command(port), core=DRIVER_CORE) as program:
            cpu = program.finish()
        return time.perf_counter() - began, cpu


def client(plan):
    count = plan.pick(20_000, 100_000)
    result = Table("A client", f"{count:,} questions one after the other to the C server, each answer compared; the whole process.", [
        Column("s", ".2f", LESS),
        Column("CPU s", ".3f", LESS),
    ])
    files = {
        "a loop": f"S: Welcome!\nrepeat {count}\n{EXCHANGE}end\nC closes\n",
        "every line written out": f"S: Welcome!\n{EXCHANGE * count}C closes\n",
    }
    for name, text in files.items():
        path = OUT / "client.talk"
        path.write_text(text)
        contenders = {
            "C": lambda: play(lambda port: [OUT / "client", port, count]),
            "sockeye": lambda: play(lambda port: [SOCKEYE, "talk", f"tcp://127.0.0.1:{port}", "--play", path, "-q"]),
        }
        result.add(name, in_turn(plan, contenders), plan.rounds)
        path.unlink()
    return [result]
