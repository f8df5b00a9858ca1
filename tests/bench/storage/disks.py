# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a host needs for the disks of a guest whose image it has: wall and processor seconds for each disk.

Run it from the repository's root: .venv/bin/python tests/bench/storage/disks.py [--ceph]
"""

from __future__ import annotations

import importlib
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests")]
stage = importlib.import_module("ansible_collections.virtfleet.compute.plugins.module_utils._volumes.stage")
cluster_module = importlib.import_module("integration.ceph.cluster")

GIB = 2**30
GUESTS = 20


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


def measure(label: str, folder: pathlib.Path, count: int, threads: int, base: dict | None, **disk) -> None:
    """Print how long each of so many disks takes, made on so many threads as the module does."""

    def make(_index: int) -> None:
        one = {"name": "root", "size_gb": 20, "boot_index": 0, **disk}
        record = {"name": "bench", "uuid": str(uuid.uuid4()), "image": base, "volumes": [one]}
        stage.provide(record, str(folder), str(folder / "run"))

    began, used = time.monotonic(), cpu()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(make, range(count)))
    wall, spent = (time.monotonic() - began) / count, (cpu() - used) / count
    print(f"{label:<42} {count:>4} disks {wall * 1000:>7.0f} ms {spent * 1000:>7.0f} ms CPU, each")


def cpu() -> float:
    """Return the processor seconds of this process and of all that it has waited for."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def main() -> None:
    """Measure files, and with --ceph clones in a throw-away cluster."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="vfbench-") as name:
        folder = pathlib.Path(name)
        base = image(folder, 2)
        measure("overlay of a cached image", folder, GUESTS, 4, base, backend="qcow2")
        blank = {"boot_index": None, "guest_format": "ext4"}
        measure("ephemeral disk of 20 GiB (qcow2, ext4)", folder, GUESTS, 4, None, backend="qcow2", **blank)
        measure("ephemeral disk of 20 GiB (raw, ext4)", folder, GUESTS, 4, None, backend="raw", **blank)
        if "--ceph" in sys.argv:
            cluster = cluster_module.Cluster(folder / "ceph")
            try:
                cluster.start()
                pool = {"pool": cluster_module.POOL, "conf": str(cluster.conf)}
                for size in (2, 20):
                    base = image(folder, size)
                    measure(
                        f"import of an image of {size} GiB, and a clone", folder, 1, 1, base, backend="rbd", pool=pool
                    )
                    measure(f"clone of an image of {size} GiB", folder, 5, 1, base, backend="rbd", pool=pool)
            finally:
                cluster.stop()


if __name__ == "__main__":
    main()
