"""Where it was measured, and with which versions."""
import os
import platform
import subprocess

from lib.build import ROOT, SOCKEYE
from lib.process import installed

VERSIONS = {
    "cc": ["cc", "--version"],
    "nc": ["nc", "-h"],
    "ncat": ["ncat", "--version"],
    "socat": ["socat", "-V"],
    "redis-server": ["redis-server", "--version"],
    "memcached": ["memcached", "--version"],
    "nginx": ["nginx", "-v"],
    "curl": ["curl", "--version"],
    "wget": ["wget", "--version"],
    "iperf3": ["iperf3", "--version"],
}


def first_line(command, marked=""):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip() and marked in line]
    return lines[0][:60].rstrip(" ,(") if lines else "?"


def processor():
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.machine()


def describe():
    commit = first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"])
    versions = [first_line([str(SOCKEYE), "--version"]) + f" ({commit})", f"Python {platform.python_version()}"]
    for program, command in VERSIONS.items():
        if installed(program):
            versions.append(first_line(command, "version" if program == "socat" else ""))
    return [
        f"{os.cpu_count()} cores ({processor()}), kernel {platform.release()}; load before it began {os.getloadavg()[0]:.2f}.",
        "Versions: " + "; ".join(versions) + ".",
    ]
