"""Bytes in bulk: dd through a pipe into one end, out of the other to /dev/null, up (client to server) and down."""
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Callable

from lib.build import OUT, SOCKEYE
from lib.process import DRIVER_CORE, Program, free_port, installed, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table

BLOCK = "262144"


@dataclass
class Pair:
    """The two ends: each is told the port and whether it is the one that sends."""

    listen: Callable
    connect: Callable
    program: str = ""


def direction(sends, sender, receiver):
    return sender if sends else receiver


def socat(address, sends):
    return ["socat", "-b", BLOCK, "-u", *direction(sends, ["-", address], [address, "-"])]


PAIRS = {
    "C splice": Pair(lambda port, _: [OUT / "splice", "listen", port], lambda port, _: [OUT / "splice", "connect", port]),
    "sockeye talk": Pair(
        lambda port, _: [SOCKEYE, "talk", "-q", "--listen", f"tcp://127.0.0.1:{port}"],
        lambda port, _: [SOCKEYE, "talk", "-q", f"tcp://127.0.0.1:{port}"],
    ),
    "nc": Pair(
        # -d: whoever receives does not read, or a listener ends at the other's early end.
        lambda port, sends: ["nc", direction(sends, "-N", "-d"), "-l", "127.0.0.1", port],
        lambda port, sends: ["nc", direction(sends, "-N", "-d"), "127.0.0.1", port],
        "nc",
    ),
    "ncat": Pair(
        lambda port, sends: ["ncat", direction(sends, "--send-only", "--recv-only"), "-l", "127.0.0.1", port],
        lambda port, sends: ["ncat", direction(sends, "--send-only", "--recv-only"), "127.0.0.1", port],
        "ncat",
    ),
    f"socat -b {BLOCK}": Pair(
        lambda port, sends: socat(f"TCP4-LISTEN:{port},bind=127.0.0.1", sends),
        lambda port, sends: socat(f"TCP4:127.0.0.1:{port}", sends),
        "socat",
    ),
}


def move(pair, mib, up):
    """GiB a second from the moment that the client starts until both have ended, and CPU seconds a GiB of both."""
    port, gib = free_port(), mib / 1024
    feed = ["dd", "if=/dev/zero", "bs=1M", f"count={mib}", "status=none"]
    with Program(feed, core="0,1", stdout=subprocess.PIPE) as feeder:
        pipe = feeder.process.stdout
        server_in, client_in = (subprocess.DEVNULL, pipe) if up else (pipe, subprocess.DEVNULL)
        with serve(pair.listen(port, not up), port, stdin=server_in) as server:
            began = time.monotonic()
            with Program(pair.connect(port, up), core=DRIVER_CORE, stdin=client_in) as client:
                pipe.close()
                used = client.finish() + server.finish()
                took = time.monotonic() - began
        feeder.finish()
    return gib / took, used / gib


def iperf3(mib, up):
    """One stream, its own rate: it reads no pipe and writes none."""
    port = free_port()
    with serve(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port], port) as server, tempfile.TemporaryFile() as report:
        command = ["iperf3", "-c", "127.0.0.1", "-p", port, "-n", f"{mib}M", "-J", *([] if up else ["-R"])]
        with Program(command, core=DRIVER_CORE, stdout=report) as client:
            used = client.finish() + server.finish()
        report.seek(0)
        rate = json.load(report)["end"]["sum_received"]["bits_per_second"] / 8 / 2**30
    return rate, used / (mib / 1024)


def bulk(plan):
    mib = plan.pick(1024, 4096)
    result = Table("Bulk", f"{mib // 1024} GiB from `dd bs=1M` through a pipe into one end, out of the other to /dev/null; iperf3 has no pipes.", [
        Column("GiB/s", ".2f", MORE),
        Column("CPU s per GiB, both ends", ".3f", LESS),
    ])
    for work, up in [("up", True), ("down", False)]:
        contenders = {}
        for name, pair in PAIRS.items():
            if pair.program and not installed(pair.program):
                plan.left_out.add(pair.program)
                continue
            contenders[name] = lambda pair=pair, up=up: move(pair, mib, up)
        if installed("iperf3"):
            contenders["iperf3, one stream"] = lambda up=up: iperf3(mib, up)
        else:
            plan.left_out.add("iperf3")
        result.add(work, in_turn(plan, contenders), plan.rounds)
    return [result]
