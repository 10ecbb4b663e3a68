"""Several cores: handshakes of TLS a second, and what idle connections take, with one thread and with two."""
import re
import shutil
import subprocess

from lib.build import OUT, SOCKEYE
from lib.greeters import C, OURS, contender, present, Greeter
from lib.process import Failed, free_port, installed, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table
from rows.fetch import KINDS
from rows.idle import hold

SITE = OUT / "handshakes"
CLIENTS = 2


def nginx(workers):
    def command(port):
        temporary = "".join(f"{kind}_temp_path {SITE}/{kind};" for kind in KINDS)
        (SITE / "conf").write_text(
            f"daemon off; user root; worker_processes {workers}; pid {SITE}/pid; error_log {SITE}/error;\n"
            f"events {{ worker_connections 4096; }}\n"
            f"http {{ access_log off; {temporary}\n"
            f"server {{ listen 127.0.0.1:{port} ssl; root {SITE}/www; ssl_certificate {SITE}/cert; ssl_certificate_key {SITE}/key;\n"
            "ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off; } }\n")
        return ["nginx", "-p", SITE, "-c", SITE / "conf"]
    return command


def sockeye(threads):
    return lambda port: [SOCKEYE, "serve", f"https://127.0.0.1:{port}", "--files", SITE / "www", "--cert", SITE / "cert",
                         "--key", SITE / "key", "--threads", threads, "-q"]


def shake(command, seconds):
    """Handshakes a second of clients of openssl that open one connection after the other; server and clients share all cores."""
    port = free_port()
    with serve(command(port), port, core=None):
        clients = [
            subprocess.Popen(["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(seconds), "-tls1_3"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for _ in range(CLIENTS)
        ]
        total = 0.0
        for one in clients:
            said = one.communicate(timeout=60 + seconds)[0]
            found = re.search(r"(\d+) connections in (\d+) real seconds", said)
            if one.returncode or not found or not int(found[1]):
                raise Failed(said.strip()[-200:] or "openssl s_time said nothing")
            total += int(found[1]) / seconds
        return (total,)


def handshakes(plan):
    seconds = plan.pick(1, 3)
    result = Table("TLS handshakes", f"TLS 1.3, ECDSA P-256, no resumption; {CLIENTS} clients of openssl s_time; server and clients share both cores.", [
        Column("handshakes/s", ",.0f", MORE),
    ])
    missing = [program for program in ["nginx", "openssl"] if not installed(program)]
    if missing:
        plan.left_out.update(missing)
        result.remark(f"{', '.join(missing)} is not installed: no row")
        return [result]
    try:
        (SITE / "www").mkdir(parents=True, exist_ok=True)
        (SITE / "www/index.html").write_text("hello\n")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
             "-keyout", SITE / "key", "-out", SITE / "cert"], check=True, capture_output=True)
        for count in (1, 2):
            contenders = {
                "nginx": lambda count=count: shake(nginx(count), seconds),
                "sockeye": lambda count=count: shake(sockeye(count), seconds),
            }
            result.add(f"{count} thread{'s' * (count > 1)} or worker{'s' * (count > 1)}", in_turn(plan, contenders), plan.rounds)
    finally:
        shutil.rmtree(SITE, ignore_errors=True)
    return [result]


def idle(plan):
    """The same as `idle`, with two threads."""
    count = plan.pick(5_000, 15_000)
    result = Table("Idle, two threads", "RssAnon, not what the kernel holds for a socket; opened one after the other.", [
        Column("own KiB each", ".2f", LESS, ratio=False),
        Column("opened/s", ",.0f", MORE),
    ])
    two = Greeter(lambda port: [SOCKEYE, "serve", f"tcp://127.0.0.1:{port}", "--threads", 2, "-q"])
    greeters = [*present(plan, [C]), (OURS, two)]
    contenders = {name: contender(greeter, lambda server, port: hold(server, port, count)) for name, greeter in greeters}
    result.add(f"{count:,} idle", in_turn(plan, contenders), plan.rounds)
    return [result]
