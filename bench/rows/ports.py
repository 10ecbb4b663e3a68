"""`ports` beside ss(8): every TCP and UDP socket with its process, on a machine that has 5,000 of them."""
import contextlib
import json
import subprocess
import sys

from lib.build import SOCKEYE
from lib.process import Failed, installed
from lib.rounds import in_turn
from lib.table import LESS, Column, Table

# Runs in a network namespace of its own, where nobody else makes any, and keeps them while it times what it is asked to.
CROWD = r"""
import json, os, resource, socket, subprocess, sys, time
sockets = []
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    listener = socket.socket(family); listener.bind((host, 0)); listener.listen(2000)
    sockets.append(listener)
    for _ in range(1240):
        client = socket.socket(family); client.connect(listener.getsockname())
        sockets += [client, listener.accept()[0]]
    for _ in range(20):
        one = socket.socket(family, socket.SOCK_DGRAM); one.bind((host, 0)); sockets.append(one)
print(json.dumps(len(sockets)), flush=True)
nowhere = open(os.devnull, "wb")
for line in sys.stdin:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    code = subprocess.run(json.loads(line), stdout=nowhere, stderr=nowhere).returncode
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps([code, wall * 1000, cpu * 1000]), flush=True)
"""

COMMANDS = {
    "sockeye ports": [str(SOCKEYE), "ports", "--protocol", "tcp", "--protocol", "udp"],
    "ss -tunap": ["ss", "-tunap"],
    "lsof -nP -i": ["lsof", "-nP", "-i"],
}


@contextlib.contextmanager
def crowd():
    script = f"ip link set lo up && ulimit -n 19000 && exec {sys.executable} -c '{CROWD}'"
    command = ["unshare", "-n", "bash", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            made = process.stdout.readline()
            if not made:
                raise Failed("no network namespace can be made here")

            def timed(words):
                print(json.dumps(words), file=process.stdin, flush=True)
                code, wall, cpu = json.loads(process.stdout.readline())
                if code:
                    raise Failed(f"exit code {code}")
                return wall, cpu

            yield int(made), timed
        finally:
            process.stdin.close()


def ports(plan):
    rounds = plan.pick(5, 20)
    with crowd() as (made, timed):
        title = f"Who holds which port, of {made:,} sockets"
        result = Table(title, f"Medians of {rounds} runs in turn.", [Column("wall ms", ".1f", LESS), Column("CPU ms", ".1f", LESS)])
        contenders = {}
        for name, words in COMMANDS.items():
            if installed(words[0]):
                contenders[name] = lambda words=words: timed(words)
            else:
                plan.left_out.add(words[0])
        result.add("ports", in_turn(plan, contenders, rounds), rounds)
    return [result]
