# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host needs for what a guest of a cached image needs: its disks and its config drive, each.

Run it from the repository's root: .venv/bin/python tests/bench/storage/disks.py [--ceph] [--directory /tmp]
It writes disks.json and disks.png beside itself, or into the directory.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import json
import os
import pathlib
import platform
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]
PLUGINS = "ansible_collections.virtfleet.compute.plugins.module_utils"
stage = importlib.import_module(f"{PLUGINS}._volumes.stage")
drive = importlib.import_module(f"{PLUGINS}._config_drive.drive")
cluster_module = importlib.import_module("integration.ceph.cluster")

GIB = 2**30
GUESTS = 20
THREADS = 4  # as the module does on two processors
GOALS = {"overlay": 50, "config drive": 50, "clone": 1000}  # ms of the clock, each


def image(folder: pathlib.Path, size_gb: int) -> dict:
    """Return a cached image of that size, of which 64 MiB are written."""
    folder.joinpath("images").mkdir(parents=True, exist_ok=True)
    path, plain = folder / "images" / f"{uuid.uuid4().hex}.qcow2", folder / "plain"
    with plain.open("wb") as stream:
        stream.write(b"virtfleet" * (64 * 2**20 // 9))
        stream.truncate(size_gb * GIB)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, path], check=True)
    path.chmod(0o444)
    return {"name": "bench", "path": str(path), "format": "qcow2", "virtual_size": size_gb * GIB}


def measure(what: str, kind: str, count: int, threads: int, make: Callable[[int], None]) -> dict:
    """Return a row: how long each of so many takes, made on so many threads, and whether that meets its goal."""
    began, used = time.monotonic(), cpu()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(make, range(count)))
    wall, spent = (time.monotonic() - began) / count * 1000, (cpu() - used) / count * 1000
    row = {"what": what, "count": count, "ms": round(wall, 1), "cpu ms": round(spent, 1)}
    if kind in GOALS:
        row |= {"goal ms": GOALS[kind], "goal met": wall <= GOALS[kind]}
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def disks(folder: pathlib.Path, base: dict | None, **disk) -> Callable[[int], None]:
    """Return what makes the disk of one more guest."""

    def make(_index: int) -> None:
        one = {"name": "root", "size_gb": 20, "boot_index": 0, **disk}
        record = {"name": "bench", "uuid": str(uuid.uuid4()), "image": base, "volumes": [one]}
        stage.provide(record, str(folder), str(folder / "run"))

    return make


def drives(folder: pathlib.Path, kind: str, system: str) -> Callable[[int], None]:
    """Return what makes the config drive of one more guest."""
    secrets = {"user_data": base64.b64encode(b"#!/bin/sh\n" * 500).decode(), "files": {"/etc/x": "eA=="}}
    address = {"address": "192.0.2.31", "prefix": 24, "gateway": "192.0.2.1", "dns": ["192.0.2.1"]}
    port = {"id": "", "network": "lan", "mac": "52:54:00:00:00:01", "mtu": 1500, "addresses": [address]}

    def make(_index: int) -> None:
        told = {"name": "bench", "uuid": str(uuid.uuid4()), "config_drive": kind, "config_drive_format": system}
        drive.provide({**told, "ports": [port]}, secrets, str(folder), str(folder / "run"), "auto")

    return make


def cpu() -> float:
    """Return the processor seconds of this process and of all that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def files(folder: pathlib.Path) -> list[dict]:
    """Return the rows of what is files on the host."""
    blank = {"boot_index": None, "guest_format": "ext4"}
    rows = [measure("overlay", "overlay", GUESTS, THREADS, disks(folder, image(folder, 2), backend="qcow2"))]
    for backend in ("qcow2", "raw"):
        make = disks(folder, None, backend=backend, **blank)
        rows.append(measure(f"ephemeral 20 GiB, {backend}", "ephemeral", GUESTS, THREADS, make))
    for kind, system in (("nocloud", "iso9660"), ("nocloud", "vfat"), ("openstack", "iso9660")):
        rows.append(measure(f"{kind}, {system}", "config drive", GUESTS, 1, drives(folder, kind, system)))
    return rows


def clones(folder: pathlib.Path) -> list[dict]:
    """Return the rows of disks in a throw-away Ceph cluster."""
    cluster, rows = cluster_module.Cluster(folder / "ceph"), []
    try:
        cluster.start()
        pool = {"pool": cluster_module.POOL, "conf": str(cluster.conf)}
        for size in (2, 20):
            make = disks(folder, image(folder, size), backend="rbd", pool=pool)
            rows.append(measure(f"import {size} GiB and clone", "import", 1, 1, make))
            rows.append(measure(f"clone of {size} GiB", "clone", 5, 1, make))
    finally:
        cluster.stop()
    return rows


def plot(rows: list[dict], path: pathlib.Path) -> None:
    """Draw how long each takes, and how long it may."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 3.6))
    names = [row["what"] for row in rows]
    axis.barh(names, [row["ms"] for row in rows], 0.6, label="each, ms")
    goals = [(index, row["goal ms"]) for index, row in enumerate(rows) if "goal ms" in row]
    axis.plot([goal for _index, goal in goals], [index for index, _goal in goals], "r|", markersize=14, label="goal")
    axis.set_xscale("log")
    axis.invert_yaxis()
    axis.legend()
    figure.suptitle("What a guest of a cached image needs on its host")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Measure, print, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ceph", action="store_true", help="clones in a throw-away cluster, too")
    parser.add_argument("--directory", type=pathlib.Path, default=HERE)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="vfbench-") as name:
        folder = pathlib.Path(name)
        rows = files(folder) + (clones(folder) if arguments.ceph else [])
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    told = {"machine": machine, "load": load, "goals": GOALS, "rows": rows}
    (arguments.directory / "disks.json").write_text(json.dumps(told, indent=1) + "\n")
    plot(rows, arguments.directory / "disks.png")


if __name__ == "__main__":
    main()
