"""A folder over HTTP, beside nginx: requests a second for small files and for large ones, with the access log and without,
asked by wrk; and how long others wait while somebody has a huge folder listed."""
import http.client
import re
import shutil
import statistics
import subprocess
import threading
import time

from lib.build import OUT, SOCKEYE
from lib.process import DRIVER_CORE, Failed, free_port, installed, pinned, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table
from rows.fetch import KINDS

SITES = OUT / "site"
LARGE_MIB = 16


# Names in the folder that is listed.
NAMES = 20_000


def nginx(port, log="off"):
    temporary = "".join(f"{kind}_temp_path {SITES}/{kind};" for kind in KINDS)
    (SITES / "conf").write_text(
        f"daemon off; master_process off; user root; pid {SITES}/pid; error_log {SITES}/error;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log {log}; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; root {SITES}/www; autoindex on; }} }}\n")
    return ["nginx", "-p", SITES, "-c", SITES / "conf"]


def sockeye(port):
    return [SOCKEYE, "serve", f"http://127.0.0.1:{port}", "--files", SITES / "www", "-q"]


def nginx_with_log(port):
    return nginx(port, f"{SITES}/access")


def sockeye_with_log(port):
    return [*sockeye(port), "--access-log", SITES / "access"]


def beside_listing(command, seconds):
    """How long a small file takes, in milliseconds, while another client has a huge folder listed again and again."""
    port = free_port()
    with serve(command(port), port):
        ends = time.monotonic() + seconds
        listed = []

        def list_again():
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            while time.monotonic() < ends:
                client.request("GET", "/huge/", headers={"Host": "localhost"})
                listed.append(len(client.getresponse().read()))

        other = threading.Thread(target=list_again)
        other.start()
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        took = []
        while time.monotonic() < ends:
            began = time.monotonic()
            client.request("GET", "/small.txt", headers={"Host": "localhost"})
            if client.getresponse().read() != b"hello\n":
                raise Failed("another file")
            took.append((time.monotonic() - began) * 1000)
            time.sleep(0.001)
        other.join()
        if not listed:
            raise Failed("nothing was listed")
        took.sort()
        return statistics.median(took), took[int(len(took) * 0.99)]


def ask(command, path, connections, seconds):
    port = free_port()
    with serve(command(port), port) as server:
        before = server.cpu()
        said = subprocess.run(
            pinned(DRIVER_CORE, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/{path}"]),
            capture_output=True, text=True, timeout=60 + seconds)
        found = re.search(r"(\d+) requests in ([\d.]+)s", said.stdout)
        if said.returncode or not found or "Non-2xx" in said.stdout:
            raise Failed(said.stdout + said.stderr)
        requests = int(found[1])
        return requests / float(found[2]), (server.cpu() - before) / requests * 1e6


def files(plan):
    result = Table("serve --files", "wrk on the other core; neither writes an access log.", [
        Column("requests/s", ",.1f", MORE),
        Column("CPU s per M", ",.2f", LESS),
    ])
    logged = Table("serve --files, with the access log", "The same; both write their log to a file.", [
        Column("requests/s", ",.1f", MORE),
        Column("CPU s per M", ",.2f", LESS),
    ])
    waiting = Table(
        "serve --files, beside a listing",
        f"A small file for one client while another has a folder of {NAMES} names listed without a pause.", [
            Column("p50 ms", ",.3f", LESS),
            Column("p99 ms", ",.3f", LESS),
        ])
    missing = [program for program in ["nginx", "wrk"] if not installed(program)]
    if missing:
        plan.left_out.update(missing)
        result.remark(f"{', '.join(missing)} is not installed: no row")
        return [result]
    works = [
        ("6 bytes, 64 connections", "small.txt", 64),
        ("20 kB, 64 connections", "medium.bin", 64),
        (f"{LARGE_MIB} MiB, 8 connections", "large.bin", 8),
    ]
    try:
        (SITES / "www").mkdir(parents=True, exist_ok=True)
        (SITES / "www/small.txt").write_text("hello\n")
        (SITES / "www/medium.bin").write_bytes(b"x" * 20_000)
        with (SITES / "www/large.bin").open("wb") as large:
            large.truncate(LARGE_MIB << 20)
        (SITES / "www/huge").mkdir(exist_ok=True)
        for name in range(NAMES):
            (SITES / f"www/huge/{name:06}").touch()
        for table, both, those in [
            (result, [("nginx", nginx), ("sockeye", sockeye)], works),
            (logged, [("nginx", nginx_with_log), ("sockeye", sockeye_with_log)], works[:2]),
        ]:
            for work, path, connections in those:
                contenders = {
                    name: lambda command=command, path=path, connections=connections: ask(
                        command, path, connections, plan.pick(1, 2))
                    for name, command in both
                }
                table.add(work, in_turn(plan, contenders), plan.rounds)
        contenders = {
            name: lambda command=command: beside_listing(command, plan.pick(1, 2))
            for name, command in [("nginx", nginx), ("sockeye", sockeye)]
        }
        waiting.add(f"{NAMES} names", in_turn(plan, contenders), plan.rounds)
    finally:
        shutil.rmtree(SITES, ignore_errors=True)
    return [result, logged, waiting]
