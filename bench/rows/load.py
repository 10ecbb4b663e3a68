"""Load: who generates it, beside wrk, h2load, redis-benchmark and the driver in C. The server has core 0, who asks has core 1; sockeye checks
every answer."""
import json
import re
import shutil
import subprocess
import time

from lib.build import OUT, SOCKEYE
from lib.greeters import C, GREETERS
from lib.process import DRIVER_CORE, Failed, Program, free_port, installed, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table
from rows.files import SITES, nginx

FOLDER = OUT / "load"
CONNECTIONS = [64, 1000]
# wrk sends a Host and nothing else. Who asks the same asks with the same bytes: nginx takes 7 % longer to read two more fields.
BARE = ["-H", "User-Agent:", "-H", "Accept:"]
PING = "eol crlf\nC: PING\nS: +PONG\n"
# Questions of all connections together before they are opened anew. The driver in C never opens one again: opening one for a
# hundred questions would cost a microsecond of each. A play has to end within the time that is measured.
QUESTIONS = 320_000


def greeting(connections):
    return f"eol lf\nS: Welcome!\nrepeat {QUESTIONS // connections}\n  C: Michael\n  S: Hello, Michael!\nend\nC: exit\nS closes\n"



def measured(command, answers):
    """Answers a second, CPU seconds of who asks for a million, and the 99th percentile in milliseconds; `answers` reads what it said."""
    with Program(command, core=DRIVER_CORE, stdout=subprocess.PIPE) as program:
        said = program.process.stdout.read().decode()
        cpu = program.finish()
    count, rate, p99 = answers(said)
    return rate, cpu / count * 1e6, p99


def sockeye(what, connections, seconds):
    figures = FOLDER / "run.json"

    def answers(_):
        run = json.loads(figures.read_text())
        if run["failures"]:
            raise Failed(f"{run['failures']} plays failed")
        return run["exchanges"], run["rate"], run["latency"]["p99"] * 1000

    command = [SOCKEYE, "load", *what, "--connections", connections, "--threads", 1, "--duration", f"{seconds}s", "-q", "--save", figures]
    return measured(command, answers)


def wrk(url, connections, seconds):
    def answers(said):
        found = re.search(r"(\d+) requests in ([\d.]+)s", said)
        p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
        if not found or not p99 or "Non-2xx" in said:
            raise Failed(said)
        return int(found[1]), int(found[1]) / float(found[2]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]

    return measured(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url], answers)


def h2load(url, connections, seconds):
    def answers(said):
        found = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed", said)
        if not found or not int(found[1]) or int(found[2]):
            raise Failed(said[-300:])
        return int(found[1]), int(found[1]) / seconds, float("nan")

    return measured(["h2load", "--h1", "-t1", f"-c{connections}", f"-D{seconds}", url], answers)


def redis_benchmark(port, connections, seconds):
    count = int(seconds * 100_000)

    def answers(said):
        row = [line.strip('"').split('","') for line in said.splitlines() if line.startswith('"PING')][0]
        return count, float(row[1]), float(row[6])

    return measured(["redis-benchmark", "-p", port, "-c", connections, "-n", count, "-t", "ping_inline", "--csv"], answers)


def driver(port, connections, seconds):
    began = time.monotonic()

    def answers(said):
        rate, _, p99, *_ = map(float, said.split())
        return rate * seconds, rate, p99 / 1000

    result = measured([OUT / "driver", port, connections, 1, seconds], answers)
    if time.monotonic() - began > 10 * seconds + 5:
        raise Failed("it took too long")
    return result


def on(command, act):
    def measure():
        port = free_port()
        with serve(command(port), port):
            return act(port)

    return measure


def load(plan):
    result = Table("Load", "One question at a time on each connection; the CPU is that of who asks.", [
        Column("answers/s", ",.0f", MORE),
        Column("CPU s per M", ".2f", LESS),
        Column("p99 ms", ",.2f", "", ratio=False),
    ])
    seconds = plan.pick(1, 2)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    (FOLDER / "ping.talk").write_text(PING)
    for connections in CONNECTIONS:
        (FOLDER / f"greeting-{connections}.talk").write_text(greeting(connections))
    (SITES / "www").mkdir(parents=True, exist_ok=True)
    (SITES / "www/small.txt").write_text("hello\n")

    def page(port):
        return f"http://127.0.0.1:{port}/small.txt"

    def play(name):
        return lambda port, n: sockeye([f"127.0.0.1:{port}", "--play", FOLDER / name.format(n)], n, seconds)

    redis, greet = GREETERS["redis PING"].command, GREETERS[C].command
    works = [
        ("nginx", nginx, "wrk", lambda port, n: wrk(page(port), n, seconds), lambda port, n: sockeye([page(port), *BARE], n, seconds)),
        ("redis PING", redis, "redis-benchmark", lambda port, n: redis_benchmark(port, n, seconds), play("ping.talk")),
        ("greeting", greet, "C driver", lambda port, n: driver(port, n, seconds), play("greeting-{}.talk")),
    ]
    try:
        for work, server, peer, theirs, ours in works:
            needed = {"nginx": ["nginx", "wrk"], "redis PING": ["redis-server", "redis-benchmark"]}.get(work, [])
            missing = [program for program in needed if not installed(program)]
            if missing:
                plan.left_out.update(missing)
                continue
            for connections in CONNECTIONS:
                contenders = {
                    peer: on(server, lambda port, n=connections, theirs=theirs: theirs(port, n)),
                    "sockeye": on(server, lambda port, n=connections, ours=ours: ours(port, n)),
                }
                if work == "nginx" and installed("h2load"):
                    contenders["h2load, HTTP/1.1"] = on(server, lambda port, n=connections: h2load(page(port), n, seconds))
                result.add(f"{work}, {connections} connections", in_turn(plan, contenders), plan.rounds)
    finally:
        shutil.rmtree(SITES, ignore_errors=True)
    return [result]
