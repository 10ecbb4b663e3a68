"""What a relay costs between a client and a server: dialogue, churn, bulk, idle pairs, and TLS that ends in it."""
import contextlib
import os
import re
import signal
import subprocess
import time

from lib.build import OUT, SOCKEYE
from lib.process import DRIVER_CORE, Failed, Program, cpu_seconds, free_port, installed, output_of, pinned, serve
from lib.rounds import in_turn
from lib.table import LESS, MORE, Column, Table
from rows import idle
from rows.fetch import KINDS

HAPROXY, NGINX, OURS, SOCAT = "haproxy", "nginx stream", "sockeye", "socat fork"
PLACE = OUT / "relay"
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"
AT_ONCE = 64
CHURNED = 2_000
HELD = 1_000
SECURE_MIB = 512


def haproxy(port, to, secure=False):
    crt = f" ssl crt {PLACE}/both alpn http/1.1" if secure else ""
    (PLACE / "haproxy").write_text(
        "global\n nbthread 1\n maxconn 4000\n"
        "defaults\n mode tcp\n option splice-auto\n timeout connect 10s\n timeout client 600s\n timeout server 600s\n"
        f"frontend in\n bind 127.0.0.1:{port}{crt}\n default_backend out\n"
        f"backend out\n server one 127.0.0.1:{to}\n")
    return ["haproxy", "-db", "-f", PLACE / "haproxy"]


def nginx_with(blocks, name):
    load = f"load_module {MODULE};\n" if os.path.exists(MODULE) else ""
    (PLACE / name).write_text(
        f"{load}daemon off; master_process off; user root; pid {PLACE}/{name}.pid; error_log {PLACE}/{name}.error;\n"
        f"events {{ worker_connections 8000; }}\n{blocks}\n")
    return ["nginx", "-p", PLACE, "-c", PLACE / name]


def nginx(port, to, secure=False):
    tls = f"ssl_certificate {PLACE}/cert; ssl_certificate_key {PLACE}/key; ssl_protocols TLSv1.3;" if secure else ""
    return nginx_with(
        f"stream {{ tcp_nodelay on; proxy_timeout 600s; server {{ listen 127.0.0.1:{port}{' ssl' if secure else ''} backlog=4096; "
        f"{tls} proxy_pass 127.0.0.1:{to}; }} }}", "stream")


def sockeye(port, to, secure=False):
    begin = f"tls://127.0.0.1:{port}?cert={PLACE}/cert&key={PLACE}/key" if secure else f"tcp://127.0.0.1:{port}"
    return [SOCKEYE, "relay", "-q", begin, f"tcp://127.0.0.1:{to}"]


def socat(port, to, secure=False):
    return ["socat", f"TCP4-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork,backlog=4096,max-children=2000", f"TCP4:127.0.0.1:{to}"]


RELAYS = {HAPROXY: haproxy, NGINX: nginx, OURS: sockeye, SOCAT: socat}


def present(plan, names):
    """Those that are installed; a process for each connection is one of them."""
    for name in names:
        if name == OURS or installed(name.split()[0]):
            yield name
        else:
            plan.left_out.add(name.split()[0])


def group_cpu(leader):
    """What a process and those that it started used until now."""
    def is_ours(pid):
        with contextlib.suppress(OSError):
            return os.getpgid(pid) == leader
        return False

    total = 0.0
    for entry in os.listdir("/proc"):
        if entry.isdigit() and is_ours(int(entry)):
            with contextlib.suppress(OSError):
                total += cpu_seconds(int(entry))
    return total


@contextlib.contextmanager
def between(name, server, core=DRIVER_CORE, secure=False):
    """A relay of that name before a server of its own; the relay, and its port."""
    to, port = free_port(), free_port()
    with serve(server(to), to, core=core), serve(RELAYS[name](port, to, secure), port) as relay:
        yield relay, port


def greeter(port):
    return [OUT / "greet", port]


def ask(name, connections, batch, seconds):
    """Answers a second; where the batch is 0, connections a second that each ask once."""
    with between(name, greeter) as (relay, port):
        before = group_cpu(relay.pid)
        rate, _, p99, _, cpu = output_of([OUT / "driver", "-s", relay.pid, port, connections, batch, seconds])
        if name == SOCAT:
            cpu = (group_cpu(relay.pid) - before) / (rate * seconds) * 1e6
        return rate, cpu, p99 / 1000


def calls(name, batch):
    """System calls of the relay for an answer, or for a connection that asks once: the same however busy the machine is."""
    with between(name, greeter) as (relay, port), Program(
            ["strace", "-c", "-f", "-U", "calls,name", "-p", relay.pid], core="0,1", stderr=subprocess.PIPE) as tracer:
        time.sleep(0.5)
        if batch:
            done = output_of([OUT / "driver", port, AT_ONCE, batch, 2])[0] * 2
        else:
            output_of([OUT / "driver", "-n", CHURNED, port, 16, 0, 5])
            done = CHURNED
        tracer.process.send_signal(signal.SIGINT)
        said = tracer.process.stderr.read()
        counted = [line.split() for line in (said if isinstance(said, str) else said.decode()).splitlines()]
        total = sum(int(words[0]) for words in counted if len(words) == 2 and words[0].isdigit() and words[1] != "total")
        if not total:
            raise Failed("strace counted nothing")
        return (total / done,)


def bulk(name, mib):
    """GiB a second from the moment that the sender starts until the receiver has ended, and the relay's CPU a GiB."""
    to, port, gib = free_port(), free_port(), mib / 1024
    with Program(["dd", "if=/dev/zero", "bs=1M", f"count={mib}", "status=none"], core="0,1", stdout=subprocess.PIPE) as feeder:
        pipe = feeder.process.stdout
        with serve([OUT / "splice", "listen", to], to, core=DRIVER_CORE) as sink, \
                serve(RELAYS[name](port, to), port) as relay:
            began, before = time.monotonic(), group_cpu(relay.pid)
            with Program([OUT / "splice", "connect", port], core=DRIVER_CORE, stdin=pipe) as source:
                pipe.close()
                source.finish()
                sink.finish()
                return gib / (time.monotonic() - began), (group_cpu(relay.pid) - before) / gib
    raise AssertionError


def hold(name):
    with between(name, greeter) as (relay, port):
        return idle.hold(relay, port, HELD)


def site(port):
    temporary = "".join(f"{kind}_temp_path {PLACE}/{kind};" for kind in KINDS)
    return nginx_with(
        f"http {{ access_log off; sendfile on; keepalive_requests 1000000000; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; root {PLACE}/www; }} }}", "site")


def secure_requests(name, seconds):
    with between(name, site, secure=True) as (relay, port):
        before = relay.cpu()
        said = subprocess.run(
            pinned(DRIVER_CORE, ["wrk", "-t1", f"-c{AT_ONCE}", f"-d{max(1, round(seconds))}s", f"https://127.0.0.1:{port}/small"]),
            capture_output=True, text=True, timeout=60 + seconds)
        found = re.search(r"(\d+) requests in ([\d.]+)s", said.stdout)
        if said.returncode or not found or "Non-2xx" in said.stdout or not int(found[1]):
            raise Failed(said.stdout + said.stderr)
        requests = int(found[1])
        return requests / float(found[2]), (relay.cpu() - before) / requests * 1e6


def handshakes(name, seconds):
    seconds = max(1, round(seconds))
    with between(name, greeter, secure=True) as (relay, port):
        before = relay.cpu()
        said = subprocess.run(
            pinned(DRIVER_CORE, ["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", seconds, "-tls1_3"]),
            capture_output=True, text=True, timeout=60 + seconds)
        found = re.search(r"(\d+) connections in (\d+) real seconds", said.stdout)
        if not found or not int(found[1]):
            raise Failed((said.stdout + said.stderr).strip()[-200:])
        return int(found[1]) / seconds, (relay.cpu() - before) / int(found[1]) * 1e6


def secure_bulk(name):
    with between(name, site, secure=True) as (relay, port):
        began, before = time.monotonic(), relay.cpu()
        fetched = subprocess.run(
            pinned(DRIVER_CORE, ["curl", "-sk", "--http1.1", "-o", "/dev/null", "-w", "%{size_download}", f"https://127.0.0.1:{port}/large"]),
            capture_output=True, text=True, timeout=120)
        took, gib = time.monotonic() - began, SECURE_MIB / 1024
        if fetched.stdout != str(SECURE_MIB << 20):
            raise Failed(f"curl had {fetched.stdout} bytes of {SECURE_MIB << 20}")
        return gib / took, (relay.cpu() - before) / gib


def prepare():
    (PLACE / "www").mkdir(parents=True, exist_ok=True)
    (PLACE / "www/small").write_text("hello\n")
    with open(PLACE / "www/large", "wb") as large:
        large.truncate(SECURE_MIB << 20)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
         "-keyout", PLACE / "key", "-out", PLACE / "cert"], check=True, capture_output=True)
    (PLACE / "both").write_text((PLACE / "cert").read_text() + (PLACE / "key").read_text())


def relay(plan):
    prepare()
    plain = Table("Relay", "Between a client and the C server, which share the other core; the CPU is the relay's.", [
        Column("answers or connections/s", ",.0f", MORE),
        Column("CPU s per M", ".2f", LESS),
        Column("p99 ms", ",.2f", LESS, ratio=False),
    ])
    mib = plan.pick(512, 2048)
    called = Table("Relay, system calls", "Counted by strace, what epoll brings together included.", [Column("calls", ",.1f", LESS, ratio=False)])
    moved = Table("Relay, bulk", f"{mib / 1024:.3g} GiB from `dd bs=1M` through a pipe, the C sender, the relay and the C receiver to /dev/null.", [
        Column("GiB/s", ".2f", MORE),
        Column("relay's CPU s per GiB", ".3f", LESS),
    ])
    held = Table("Relay, idle", f"{HELD:,} pairs of connections that say nothing; RssAnon.", [
        Column("own KiB a pair", ".2f", LESS, ratio=False),
        Column("opened/s", ",.0f", MORE),
    ])
    secure = Table("Relay, TLS ends in it", f"TLS 1.3, ECDSA P-256; behind it nginx over TCP: wrk with {AT_ONCE} connections, openssl s_time, curl.", [
        Column("a second", ",.2f", MORE),
        Column("relay's CPU s per M, or per GiB", ".2f", LESS),
    ])

    def turns(names, measure):
        return {name: (lambda name=name: measure(name)) for name in present(plan, names)}

    for connections in (64, 1_000):
        work = turns(RELAYS, lambda name, connections=connections: ask(name, connections, 1, plan.seconds))
        plain.add(f"dialogue, {connections:,} connections", in_turn(plan, work), plan.rounds)
    plain.add("churn", in_turn(plan, turns(RELAYS, lambda name: ask(name, AT_ONCE, 0, plan.seconds))), plan.rounds)
    if installed("strace"):
        for work, batch in (("an answer, 64 connections", 1), ("a connection of churn", 0)):
            called.add(work, in_turn(plan, turns([HAPROXY, NGINX, OURS], lambda name, batch=batch: calls(name, batch))), plan.rounds)
    else:
        plan.left_out.add("strace")
    moved.add("up", in_turn(plan, turns(RELAYS, lambda name: bulk(name, mib))), plan.rounds)
    held.add("idle", in_turn(plan, turns([HAPROXY, NGINX, OURS], hold)), plan.rounds)
    enders = [HAPROXY, NGINX, OURS]
    for program, work, measure in [
        ("wrk", "requests", lambda name: secure_requests(name, plan.seconds)),
        ("openssl", "handshakes", lambda name: handshakes(name, plan.seconds)),
        ("curl", "GiB", secure_bulk),
    ]:
        if installed(program) and installed("nginx"):
            secure.add(work, in_turn(plan, turns(enders, measure)), plan.rounds)
        else:
            plan.left_out.add(program)
    (PLACE / "www/large").unlink()
    return [plain, called, moved, held, secure]
