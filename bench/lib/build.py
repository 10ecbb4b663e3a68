"""Builds sockeye, the drivers and the reference programs, and knows where they are."""
import os
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
OUT = BENCH / "out"
SOCKEYE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/sockeye"
SOURCES = {
    "driver": "driver.c",
    "datagrams": "datagrams.c",
    "greet": "limit/greet.c",
    "client": "limit/client.c",
    "udp": "limit/udp.c",
    "splice": "limit/splice.c",
    "fetch": "limit/fetch.c",
    "nothing": "limit/nothing.c",
}


def everything():
    OUT.mkdir(exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    for name, source in SOURCES.items():
        subprocess.run(["cc", "-O2", "-o", OUT / name, BENCH / source], check=True)
