"""Programs that a row starts, the ports they listen on, and what they cost. Whatever was started here is ended here."""
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SERVER_CORE, DRIVER_CORE = "0", "1"
TICK = os.sysconf("SC_CLK_TCK")
LISTENS, BOUND = "0A", "07"
SOON = 5.0


class Failed(Exception):
    """A contender could not do the work. It is left out of that table, and named with the reason."""


def pinned(core, command):
    """Without a core it runs where we do, and is spared the start of taskset."""
    return [*(["taskset", "-c", core] if core else []), *map(str, command)]


@contextlib.contextmanager
def on_the_drivers_core():
    """For programs that are over so soon that taskset would show."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(DRIVER_CORE)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_udp_port():
    return free_port(socket.SOCK_DGRAM)


def sockets(table, port):
    """The lines of /proc/net/tcp or udp for a local port. In tcp those that listen come first; we read no further."""
    wanted = f":{port:04X}"
    with open(f"/proc/net/{table}") as lines:
        next(lines)
        for line in lines:
            fields = line.split()
            if table == "tcp" and fields[3] != LISTENS:
                return
            if fields[1].endswith(wanted):
                yield fields


def queued(port):
    """Bytes that wait in the queue of a UDP port, and how many datagrams the kernel dropped there."""
    for fields in sockets("udp", port):
        return int(fields[4].split(":")[1], 16), int(fields[-1])
    return 0, 0


def cpu_seconds(pid):
    """What a process used until now, to the nanosecond: its CPU clock, as clock_getcpuclockid(3) makes it; and what its
    children used that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    children = (int(fields[13]) + int(fields[14])) / TICK
    return time.clock_gettime(~pid << 3 | 2) + children


class Program:
    """A program on a core, in a process group of its own. As a context it is gone at the end, however that came."""

    def __init__(self, command, core=SERVER_CORE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL, cwd=None):
        self.name = Path(str(command[0])).name
        self.process = subprocess.Popen(pinned(core, command), stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd,
                                        start_new_session=True)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            # Also what it started itself: nobody else is in this group.
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()

    def await_port(self, port, table="tcp"):
        """Strangers do not say that they listen, so the kernel's table is looked at every two milliseconds."""
        end = time.monotonic() + SOON
        while not any(fields[3] == (LISTENS if table == "tcp" else BOUND) for fields in sockets(table, port)):
            if self.process.poll() is not None:
                raise Failed(f"{self.name} ended with {self.process.returncode}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not listen")
            time.sleep(0.002)
        return self

    def await_rest(self, port):
        """Until a UDP receiver has taken all that waits for it, and uses no more CPU. No event tells either."""
        used, end = -1.0, time.monotonic() + SOON
        while time.monotonic() < end:
            now = cpu_seconds(self.pid)
            if queued(port)[0] == 0 and now - used < 0.0002:
                return
            used = now
            time.sleep(0.02)
        raise Failed(f"{self.name} does not come to rest")

    def interrupt(self, number):
        """Asks it to end, and waits until it has."""
        self.process.send_signal(number)
        try:
            self.process.wait(SOON)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end at signal {number}") from None

    def finish(self, most=60.0):
        """Waits for its end; seconds of CPU, its children's included."""
        descriptor = os.pidfd_open(self.pid)  # wait4(2) knows no time limit
        ended, _, _ = select.select([descriptor], [], [], most)
        os.close(descriptor)
        if not ended:
            raise Failed(f"{self.name} takes longer than {most:.0f} s")
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise Failed(f"{self.name} ended with {self.process.returncode}")
        return usage.ru_utime + usage.ru_stime

    def cpu(self):
        return cpu_seconds(self.pid)

    def status_kib(self, key):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise Failed(f"{self.name} has no {key}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))



def serve(command, port, table="tcp", **streams):
    """A server that already listens."""
    program = Program(command, **streams)
    try:
        return program.await_port(port, table)
    except BaseException:
        program.__exit__()
        raise


def output_of(command, core=DRIVER_CORE, most=120):
    """What a driver printed, as numbers."""
    done = subprocess.run(pinned(core, command), capture_output=True, text=True, timeout=most)
    if done.returncode:
        raise Failed(done.stderr.strip() or f"the driver ended with {done.returncode}")
    return [float(word) for word in done.stdout.split()]


def installed(program):
    return shutil.which(program) is not None
