# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast an image comes into the cache, beside curl and the tools that one would use by hand, in the same run.

Everything is on this machine: a web server in a thread of this process, the client in a process of its own. Both write
into the same file system and both end with fsync. `bench.py` writes bench.json and bench.png beside itself;
`bench.py --rounds 1 --directory /tmp` is quick and leaves them elsewhere.
"""

from __future__ import annotations

import argparse
import hashlib
import http.server
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
COLLECTIONS = HERE.parents[2] / "collections"
MIB = 2**20
SIZE = 300 * MIB
GOALS = {"fetch": 1.2, "downloads of twenty": 1, "cached": 0.05}
OURS = """
import json, os, sys, time
from ansible_collections.virtfleet.compute.plugins.module_utils._images import cache, image
images, record = json.loads(sys.argv[1])
wanted = image.from_record(record)
cpu, wall = os.times(), time.monotonic()
cache.ensure(images, images + "-run", wanted, None)
now = os.times()
print(json.dumps({"wall": time.monotonic() - wall, "cpu": sum(now[:4]) - sum(cpu[:4])}))
"""
BY_HAND = {
    "plain": 'curl -sSf -o "$1" "$2" && sha256sum "$1" && sync "$1"',
    "zst": 'curl -sSf -o "$1.zst" "$2" && sha256sum "$1.zst" && zstd -dqc "$1.zst" > "$1" && sync "$1"',
    "xz": 'curl -sSf -o "$1.xz" "$2" && sha256sum "$1.xz" && xz -dc "$1.xz" > "$1" && sync "$1"',
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends the files of a directory, and counts who asks."""

    def do_GET(self):
        self.server.requests += 1
        size = os.path.getsize(self.server.directory + self.path)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        self.wfile.flush()
        with open(self.server.directory + self.path, "rb") as stream:
            while start < size:
                start += os.sendfile(self.connection.fileno(), stream.fileno(), start, size - start)

    def log_message(self, *arguments):
        pass


def serve(directory):
    """Return a running server of the directory."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.directory, server.requests = str(directory), 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def disk(path):
    """Make a qcow2 of 300 MB that is as full as that of a distribution: nothing of it can be compressed."""
    raw = path.with_suffix(".raw")
    with open(raw, "wb") as stream:
        for _block in range(SIZE // MIB - 1):
            stream.write(os.urandom(MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, path], check=True)
    raw.unlink()


def digest_of(path):
    with open(path, "rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def record_of(server, path):
    url = f"http://127.0.0.1:{server.server_port}/{path.name}"
    return {"name": path.name, "url": url, "checksum": digest_of(path), "disk_format": "qcow2"}


def start_ours(images, record):
    """Return a process that fetches the image into the cache as the module does."""
    command = [sys.executable, "-c", OURS, json.dumps([str(images), record])]
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def ours(images, record):
    """Return wall and CPU seconds of fetching, verifying, inspecting and caching; without the start of Python."""
    told, _errors = start_ours(images, record).communicate()
    return json.loads(told)


def by_hand(way, target, record):
    """Return wall and CPU seconds of the tools."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(["sh", "-c", BY_HAND[way], "sh", str(target), record["url"]], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.monotonic() - began, "cpu": cpu}


def compare(way, record, directory, rounds):
    """Return one row: both ways in turns, the median of each."""
    times = {"ours": [], "by hand": []}
    for number in range(rounds):
        times["ours"].append(ours(directory / f"{way}-{number}", record))
        times["by hand"].append(by_hand(way, directory / f"{way}-{number}.disk", record))
        for leftover in directory.glob(f"{way}-{number}*"):
            subprocess.run(["rm", "-rf", leftover], check=True)
    medians = {
        f"{who} {what}": round(statistics.median(one[what] for one in measured), 3)
        for who, measured in times.items()
        for what in ("wall", "cpu")
    }
    ratios = {
        f"{what} ratio": round(medians[f"ours {what}"] / medians[f"by hand {what}"], 2) for what in ("wall", "cpu")
    }
    return {"what": f"fetch {way}", **medians, **ratios}


def twenty(server, record, directory):
    """Return one row: twenty runs that want one image at the same time, and each one's second look at it."""
    before, began = server.requests, time.monotonic()
    runs = [start_ours(directory / "twenty", record) for _run in range(20)]
    failed = sum(run.wait() != 0 for run in runs)
    row = {"what": "twenty at once", "wall": round(time.monotonic() - began, 3), "failed": failed}
    again = [ours(directory / "twenty", record)["wall"] for _time in range(5)]
    row |= {"downloads": server.requests - before, "cached ms": round(statistics.median(again) * 1000, 2)}
    subprocess.run(["rm", "-rf", directory / "twenty"], check=True)
    return row


def measure(rounds, directory):
    """Return the rows."""
    files = directory / "files"
    files.mkdir()
    plain = files / "disk.qcow2"
    disk(plain)
    subprocess.run(["zstd", "-q", "-1", plain, "-o", f"{plain}.zst"], check=True)
    subprocess.run(["xz", "-0k", "-T2", plain], check=True)
    server = serve(files)
    ways = {"plain": plain, "zst": pathlib.Path(f"{plain}.zst"), "xz": pathlib.Path(f"{plain}.xz")}
    rows = [
        compare(way, record_of(server, path), directory, rounds if way == "plain" else 1) for way, path in ways.items()
    ]
    return [*rows, twenty(server, record_of(server, plain), directory)]


def judged(rows):
    """Return the rows with whether each goal is met."""
    for row in rows:
        if row["what"] == "fetch plain":
            row["goal met"] = row["wall ratio"] <= GOALS["fetch"]
        if row["what"] == "twenty at once":
            row["goal met"] = (
                row["downloads"] == GOALS["downloads of twenty"] and row["cached ms"] <= GOALS["cached"] * 1000
            )
    return rows


def plot(rows, path):
    """Draw both ways of fetching side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    fetches = [row for row in rows if row["what"].startswith("fetch")]
    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.2))
    for axis, what in zip(axes, ("wall", "cpu"), strict=True):
        for offset, who in ((-0.2, "by hand"), (0.2, "ours")):
            axis.bar(
                [index + offset for index in range(len(fetches))],
                [row[f"{who} {what}"] for row in fetches],
                0.4,
                label=who,
            )
        axis.set_xticks(range(len(fetches)), [row["what"] for row in fetches])
        axis.set_ylabel(f"{what} seconds")
        axis.legend()
    figure.suptitle("An image of 300 MB into the cache, beside curl, sha256sum and the unpacker")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vf-bench-") as directory:
        rows = judged(measure(arguments.rounds, pathlib.Path(directory)))
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    told = {"machine": machine, "load": os.getloadavg()[0], "rounds": arguments.rounds, "goals": GOALS, "rows": rows}
    (arguments.directory / "bench.json").write_text(json.dumps(told, indent=1) + "\n")
    plot(rows, arguments.directory / "bench.png")
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
