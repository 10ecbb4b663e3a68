"""A program for each connection: how many a second, beside what people do it with today."""
import socket
import threading
import time

from lib.build import SOCKEYE
from lib.greeters import OURS
from lib.process import Failed, cpu_seconds, free_port, installed, on_the_drivers_core, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table

AT_ONCE = 8
TCPSERVER, SOCAT, NCAT = "tcpserver", "socat fork", "ncat -e"
WORKS = {"true": ("/bin/true", b"", b""), "cat": ("/bin/cat", b"hello\n", b"hello\n")}


def command(name, port, program):
    return {
        TCPSERVER: ["tcpserver", "-HRl0", "-c", 1000, "127.0.0.1", port, program],
        OURS: [SOCKEYE, "serve", f"tcp://127.0.0.1:{port}", "-q", "--exec", program],
        SOCAT: ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,backlog=1024", f"EXEC:{program}"],
        NCAT: ["ncat", "-lk", "-m", 1000, "-e", program, "127.0.0.1", port],
    }[name]


def ask(port, say, until, done, wrong, expected):
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            if say:
                client.sendall(say)
            client.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := client.recv(4096):
                heard += piece
        (done if heard == expected else wrong).append(1)


def rate(name, work, seconds):
    program, say, expected = WORKS[work]
    port = free_port()
    with serve(command(name, port, program), port) as server, on_the_drivers_core():
        done, wrong = [], []
        began = time.monotonic()
        threads = [
            threading.Thread(target=ask, args=(port, say, began + seconds, done, wrong, expected)) for _ in range(AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        if wrong or not done:
            raise Failed(f"{len(wrong)} of {len(wrong) + len(done)} answers were wrong")
        return len(done) / took, cpu_seconds(server.pid) / len(done) * 1e3


def programs(plan):
    result = Table("A program for each connection", f"{AT_ONCE} at once; the client ends its side first, and hears to the end.", [
        Column("connections/s", ",.0f", MORE),
        Column("CPU ms each", ".2f", LESS, ratio=False),
    ])
    for work in WORKS:
        contenders = {}
        for name in (TCPSERVER, OURS, SOCAT, NCAT):
            tool = name.split()[0]
            if name != OURS and not installed(tool):
                plan.left_out.add(tool)
                continue
            contenders[name] = lambda name=name: rate(name, work, plan.seconds)
        result.add(work, in_turn(plan, contenders), plan.rounds)
    return [result]
