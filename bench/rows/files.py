"""A folder over HTTP, beside nginx: requests a second for a small file, bytes a second for a large one, asked by wrk."""
import re
import shutil
import subprocess

from lib.build import OUT, SOCKEYE
from lib.process import DRIVER_CORE, Failed, free_port, installed, pinned, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table
from rows.fetch import KINDS

SITES = OUT / "site"
LARGE_MIB = 16


def nginx(port):
    temporary = "".join(f"{kind}_temp_path {SITES}/{kind};" for kind in KINDS)
    (SITES / "conf").write_text(
        f"daemon off; master_process off; user root; pid {SITES}/pid; error_log {SITES}/error;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; root {SITES}/www; }} }}\n")
    return ["nginx", "-p", SITES, "-c", SITES / "conf"]


def sockeye(port):
    return [SOCKEYE, "serve", f"http://127.0.0.1:{port}", "--files", SITES / "www", "-q"]


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
    missing = [program for program in ["nginx", "wrk"] if not installed(program)]
    if missing:
        plan.left_out.update(missing)
        result.remark(f"{', '.join(missing)} is not installed: no row")
        return [result]
    try:
        (SITES / "www").mkdir(parents=True, exist_ok=True)
        (SITES / "www/small.txt").write_text("hello\n")
        (SITES / "www/medium.bin").write_bytes(b"x" * 20_000)
        with (SITES / "www/large.bin").open("wb") as large:
            large.truncate(LARGE_MIB << 20)
        for work, path, connections in [
            ("6 bytes, 64 connections", "small.txt", 64),
            ("20 kB, 64 connections", "medium.bin", 64),
            (f"{LARGE_MIB} MiB, 8 connections", "large.bin", 8),
        ]:
            contenders = {
                name: lambda command=command, path=path, connections=connections: ask(
                    command, path, connections, plan.pick(1, 2))
                for name, command in [("nginx", nginx), ("sockeye", sockeye)]
            }
            result.add(work, in_turn(plan, contenders), plan.rounds)
    finally:
        shutil.rmtree(SITES, ignore_errors=True)
    return [result]
