"""Fetching from nginx to a file: a large body, plain and over TLS, and a page of a few bytes. Whole processes."""
import os
import shutil
import subprocess
import time

from lib.build import OUT, SOCKEYE
from lib.process import Failed, Program, free_port, installed, on_the_drivers_core, serve
from lib.rounds import in_turn
from lib.table import LESS, Column, Table

FOLDER = OUT / "web"
KINDS = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]


def prepare(mib):
    (FOLDER / "www").mkdir(parents=True, exist_ok=True)
    with (FOLDER / "www/large").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    (FOLDER / "www/small").write_text("hello\n")


def nginx(port):
    temporary = "".join(f"{kind}_temp_path {FOLDER}/{kind};" for kind in KINDS)
    user = "user root;" if os.geteuid() == 0 else ""
    (FOLDER / "conf").write_text(
        f"daemon off; master_process off; {user} pid {FOLDER}/pid; error_log {FOLDER}/error; events {{}}\n"
        f"http {{ access_log off; sendfile on; {temporary} server {{ listen 127.0.0.1:{port}; root {FOLDER}/www; }} }}\n")
    return ["nginx", "-p", FOLDER, "-c", FOLDER / "conf"]


def clients(plan, port, path, target):
    url = f"http://127.0.0.1:{port}/{path}"
    commands = {
        "C splice": [OUT / "fetch", "127.0.0.1", port, f"/{path}", target],
        "sockeye fetch": [SOCKEYE, "fetch", "-q", url, "-o", target],
        "curl": ["curl", "-s", url, "-o", target],
        "wget": ["wget", "-q", url, "-O", target],
        "aria2c": ["aria2c", "-q", "--allow-overwrite=true", "-d", target.parent, "-o", target.name, url],
    }
    for program in ["curl", "wget", "aria2c"]:
        if not installed(program):
            plan.left_out.add(program)
            del commands[program]
    return commands


def once(command, target, size):
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    with Program(command, core=None) as program:
        cpu = program.finish()
    wall = time.perf_counter() - began
    if target.stat().st_size != size:
        raise Failed(f"{target.stat().st_size} bytes instead of {size}")
    return cpu * 1000, wall * 1000


def fetch(plan):
    result = Table("Fetch", "From nginx to a file, the whole process; sockeye alone also syncs the file (fsync) before it has a name.", [
        Column("CPU ms", ",.1f", LESS),
        Column("wall ms", ",.1f", LESS),
    ])
    if not installed("nginx"):
        plan.left_out.add("nginx")
        result.remark("nginx is not installed: no row")
        return [result]
    mib = plan.pick(256, 2048)
    target = OUT / "body"
    try:
        prepare(mib)
        port = free_port()
        with serve(nginx(port), port), on_the_drivers_core():
            for work, path, rounds in [(f"{mib:,} MiB", "large", plan.rounds), ("6 bytes", "small", plan.pick(10, 50))]:
                size = (FOLDER / "www" / path).stat().st_size
                contenders = {
                    name: lambda command=command, size=size: once(command, target, size)
                    for name, command in clients(plan, port, path, target).items()
                }
                result.add(work, in_turn(plan, contenders, rounds), rounds)
    finally:
        target.unlink(missing_ok=True)
        shutil.rmtree(FOLDER)
    return [result]


def certificate():
    """For localhost, for a day."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
               "-addext", "basicConstraints=critical,CA:FALSE",
               "-keyout", FOLDER / "key.pem", "-out", FOLDER / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)


def secure(plan):
    """A large body over TLS, by either version of HTTP."""
    result = Table("Fetch over TLS", "A large body from nginx to a file over TLS 1.3 (AES-128-GCM), the whole process; each flushes as it does by itself.", [
        Column("CPU ms", ",.1f", LESS),
        Column("wall ms", ",.1f", LESS),
    ])
    for program in ["nginx", "openssl", "curl"]:
        if not installed(program):
            plan.left_out.add(program)
            result.remark(f"{program} is not installed: no row")
            return [result]
    mib = plan.pick(256, 1024)
    target = OUT / "body"
    try:
        prepare(mib)
        certificate()
        port = free_port()
        command = nginx(port)
        conf = (FOLDER / "conf").read_text().replace(
            f"listen 127.0.0.1:{port};",
            f"listen 127.0.0.1:{port} ssl http2; ssl_certificate {FOLDER}/cert.pem; ssl_certificate_key {FOLDER}/key.pem; "
            "ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;")
        (FOLDER / "conf").write_text(conf)
        url, ca = f"https://localhost:{port}/large", FOLDER / "cert.pem"
        with serve(command, port), on_the_drivers_core():
            for version, ours, theirs in [("HTTP/1.1", ["--http1.1"], "--http1.1"), ("HTTP/2", [], "--http2")]:
                commands = {
                    "sockeye fetch": [SOCKEYE, "fetch", "-4", "-q", url, "--ca", ca, "-o", target, *ours],
                    "curl": ["curl", "-4", "-s", theirs, url, "--cacert", ca, "-o", target],
                }
                contenders = {
                    name: lambda command=command: once(command, target, mib << 20)
                    for name, command in commands.items()
                }
                result.add(f"{version}, {mib:,} MiB", in_turn(plan, contenders), plan.rounds)
    finally:
        target.unlink(missing_ok=True)
        shutil.rmtree(FOLDER)
    return [result]


def tiny_once(command, folder, count):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    began = time.perf_counter()
    with Program(command, core=None, cwd=folder) as program:
        cpu = program.finish()
    wall = time.perf_counter() - began
    found = sum(1 for _ in folder.iterdir())
    if found != count:
        raise Failed(f"{found} files instead of {count}")
    return cpu * 1000, wall * 1000


def tiny(plan):
    """Many small files with one command."""
    count = plan.pick(500, 10_000)
    result = Table("Fetch, many small files", f"{count:,} files of a few bytes from nginx into a folder, one command.", [
        Column("CPU ms", ",.1f", LESS),
        Column("wall ms", ",.1f", LESS),
    ])
    if not installed("nginx"):
        plan.left_out.add("nginx")
        return [result]
    target = OUT / "many"
    try:
        (FOLDER / "www").mkdir(parents=True, exist_ok=True)
        for number in range(1, count + 1):
            (FOLDER / f"www/{number}.txt").write_text(f"{number}\n")
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        urls = [f"{base}/{number}.txt" for number in range(1, count + 1)]
        (FOLDER / "list").write_text("\n".join(urls))
        commands = {
            "curl": ["curl", "-s", "--remote-name-all", f"{base}/[1-{count}].txt"],
            "sockeye fetch": [SOCKEYE, "fetch", "-q", *urls],
            "wget": ["wget", "-q", "-i", FOLDER / "list"],
            "aria2c": ["aria2c", "-q", "-j", "16", "-i", FOLDER / "list"],
        }
        with serve(nginx(port), port), on_the_drivers_core():
            contenders = {
                name: lambda command=command: tiny_once(command, target, count)
                for name, command in commands.items() if name.startswith("sockeye") or installed(command[0])
            }
            result.add(f"{count:,} files", in_turn(plan, contenders), plan.rounds)
    finally:
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(FOLDER, ignore_errors=True)
    return [result]
