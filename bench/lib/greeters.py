"""Who answers a line with a line over TCP: how each is started, and what the driver asks it."""
import os
import sys
from dataclasses import dataclass
from typing import Callable

from lib.build import BENCH, OUT, SOCKEYE
from lib.process import free_port, installed, output_of, serve

C, OURS, PYTHON, REDIS, MEMCACHED = "C epoll", "sockeye", "Python, a thread a client", "redis PING", "memcached mn"


@dataclass
class Greeter:
    """How it is started, the program that must be installed, what the driver is told to say, and how many connections
    make sense."""

    command: Callable
    program: str = ""
    asked: tuple = ()
    most: int = 1_000_000


def memcached(port):
    user = ["-u", "root"] if os.geteuid() == 0 else []
    return ["memcached", "-t", 1, "-c", 19_000, "-l", "127.0.0.1", "-p", port, "-U", 0, *user]


GREETERS = {
    C: Greeter(lambda port: [OUT / "greet", port]),
    OURS: Greeter(lambda port: [SOCKEYE, "serve", f"tcp://127.0.0.1:{port}", "-q"]),
    PYTHON: Greeter(lambda port: [sys.executable, BENCH / "limit/threads.py", port], most=1000),
    REDIS: Greeter(
        lambda port: ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--maxclients", 19_000],
        program="redis-server",
        asked=("-w", "", "-q", "PING\r\n", "-a", "+PONG\r\n"),
    ),
    MEMCACHED: Greeter(memcached, program="memcached", asked=("-w", "", "-q", "mn\r\n", "-a", "MN\r\n")),
}


def drive(server, port, connections, batch, seconds, asked=()):
    """Answers a second, CPU seconds of the server a million answers, and the 99th percentile in milliseconds; then what
    greedy connections got, if there are any."""
    rate, _, p99, greedy, cpu = output_of([OUT / "driver", "-s", server.pid, *asked, port, connections, batch, seconds])
    return rate, cpu, p99 / 1000, greedy


def contender(greeter, act):
    """A function for `in_turn`: a server of its own for every turn, and what `act` finds out about it."""

    def measure():
        port = free_port()
        with serve(greeter.command(port), port) as server:
            return act(server, port)

    return measure


def present(plan, names):
    """Those of the greeters that can take part; who cannot is remembered."""
    for name in names:
        program = GREETERS[name].program
        if program and not installed(program):
            plan.left_out.add(program)
        else:
            yield name, GREETERS[name]
