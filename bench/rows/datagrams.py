"""UDP: the greeting with many questions on their way, and one way, where the question is what gets lost."""
import math
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from lib.build import BENCH, OUT, SOCKEYE
from lib.process import free_udp_port, installed, output_of, queued, serve
from lib.rounds import in_turn, middle_round
from lib.table import LESS, MORE, Column, Table

OUTSTANDING = 64
SIZE = 9
UNTOLD = math.nan  # a program that says nothing of drops
LOST = 1  # where the loss stands in what `receive` returns


def available(plan, contenders):
    """Those whose program is there; who has none is always."""
    for name, (program, value) in contenders.items():
        if program and not installed(program):
            plan.left_out.add(program)
        else:
            yield name, value


def greet(plan):
    answer = r'read -r name; echo "Hello\, $name!"'
    servers = {
        "C recvmmsg": ("", lambda port: [OUT / "udp", port]),
        "sockeye": ("", lambda port: [SOCKEYE, "serve", f"udp://127.0.0.1:{port}", "-q"]),
        "Python": ("", lambda port: [sys.executable, BENCH / "limit/datagrams.py", port]),
        "socat, a process each": ("socat", lambda port: ["socat", f"UDP4-RECVFROM:{port},bind=127.0.0.1,fork", f"SYSTEM:{answer}"]),
    }

    def turn(command):
        port = free_udp_port()
        with serve(command(port), port, "udp") as server:
            rate, lost = output_of([OUT / "datagrams", port, "greet", OUTSTANDING, plan.seconds])
            return rate, server.cpu() / (rate * plan.seconds) * 1e6, lost

    result = Table("UDP greeting", f"{OUTSTANDING} datagrams without an answer at most; every answer is checked.", [
        Column("answers/s", ",.0f", MORE),
        Column("CPU s per M", ",.2f", LESS),
        Column("lost", ",.0f", ratio=False),
    ])
    contenders = {name: lambda command=command: turn(command) for name, command in available(plan, servers)}
    result.add(f"{OUTSTANDING} outstanding", in_turn(plan, contenders), plan.rounds)
    return [result]


@dataclass
class Receiver:
    """How it is started and ended, and what its streams then say: datagrams that came, and drops that it tells of."""

    command: Callable
    end: int
    count: Callable


def of_the_sink(output, _):
    came, dropped, _ = map(int, output.read_text().split())
    return came, dropped


def of_bytes(output, _):
    return output.stat().st_size // SIZE, UNTOLD


def of_talk(output, errors):
    told = re.search(r"(\d+) datagrams were dropped", errors.read_text())
    return output.stat().st_size // SIZE, int(told[1]) if told else 0


def of_serve(_, errors):
    """Drops are said once a second and cause, `N more` for the rest; the end says how many bytes came."""
    text = errors.read_text()
    told = re.findall(r"^(?:dropped (\d+)|(\d+) more): .*the kernel dropped datagrams", text, re.MULTILINE)
    came = re.search(r" (\d+) bytes came", text)
    return int(came[1]) // SIZE if came else 0, sum(int(one or other) for one, other in told)


RECEIVERS = {
    "C recvmmsg, GRO": ("", Receiver(lambda port: [OUT / "udp", port, "sink"], signal.SIGTERM, of_the_sink)),
    "sockeye serve --discard": ("", Receiver(
        lambda port: [SOCKEYE, "serve", f"udp://127.0.0.1:{port}", "--discard"], signal.SIGINT, of_serve)),
    "sockeye talk --listen": ("", Receiver(
        lambda port: [SOCKEYE, "talk", "--listen", f"udp://127.0.0.1:{port}"], signal.SIGINT, of_talk)),
    "nc -u -l": ("nc", Receiver(lambda port: ["nc", "-u", "-l", "127.0.0.1", port], signal.SIGTERM, of_bytes)),
    "ncat -u -l": ("ncat", Receiver(lambda port: ["ncat", "-u", "-l", "127.0.0.1", port], signal.SIGTERM, of_bytes)),
    "socat -u": ("socat", Receiver(lambda port: ["socat", "-u", f"UDP4-RECV:{port},bind=127.0.0.1", "-"], signal.SIGTERM, of_bytes)),
}


def receive(receiver, sender):
    """What comes goes to a file in memory, whose size is the count."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else OUT) as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        port = free_udp_port()
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            with serve(receiver.command(port), port, "udp", stdout=stdout, stderr=stderr) as server:
                (sent,) = output_of([OUT / "datagrams", port, *sender])
                server.await_rest(port)
                _, dropped = queued(port)
                cpu = server.cpu()
                server.interrupt(receiver.end)
        came, told = receiver.count(output, errors)
    missing = sent - came
    return sent / sender[-1] / 1e6, missing / sent * 100, missing, dropped, told, cpu / sent * 1e6


def one_way(plan):
    result = Table(
        "UDP one way",
        f"Datagrams of {SIZE} bytes. Missing is what the sender counts less what came; beside it what the kernel says it dropped for that "
        "socket (/proc/net/udp) and what the program itself says, all of the round with the median loss. The kernel counts what was sent as one with UDP_SEGMENT as "
        "one drop, up to 64 datagrams.",
        [
            Column("sent M/s", ".2f", ratio=False),
            Column("lost %", ".2f", LESS, ratio=False),
            Column("missing", ",.0f", ratio=False),
            Column("kernel dropped", ",.0f", ratio=False),
            Column("told", ",.0f", ratio=False),
            Column("CPU s per M sent", ".3f", LESS),
        ],
    )
    seconds = plan.pick(0.2, 1.0)
    for work, sender in [("330,000/s", ("send", 330_000, seconds)), ("UDP_SEGMENT, as fast as it goes", ("segments", SIZE, seconds))]:
        contenders = {
            name: lambda receiver=receiver, sender=sender: receive(receiver, sender) for name, receiver in available(plan, RECEIVERS)
        }
        result.add(work, in_turn(plan, contenders, middle=middle_round(LOST)), plan.rounds)
    return [result]
