# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a config drive takes on its host, each layout in each file system: the goal is 50 ms."""

from __future__ import annotations

import argparse
import base64
import json
import os
import pathlib
import statistics
import tempfile
import time
import uuid

from ansible_collections.virtfleet.compute.plugins.module_utils._config_drive import drive

GOAL = 50  # ms
ADDRESS = {"prefix": 24, "gateway": "192.0.2.1", "dns": ["192.0.2.1"]}


def instance(number: int, kind: str, system: str) -> dict:
    """Return a record with two ports."""
    ports = [
        {"id": "", "network": "lan", "mac": f"52:54:00:00:{card:02x}:{number:02x}", "mtu": 1500}
        | {"addresses": [{**ADDRESS, "address": f"192.0.2.{number + 2}"}]}
        for card in range(2)
    ]
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"bench/{kind}/{system}/{number}"))
    told = {"name": f"web-{number}", "uuid": identity, "config_drive": kind, "config_drive_format": system}
    return {**told, "ports": ports, "keys": [{"name": "ops", "public_key": "ssh-ed25519 AAAA ops"}]}


def measure(count: int, kind: str, system: str, state: pathlib.Path) -> dict:
    """Return milliseconds of a new drive and of one that is there: the median, and of the processor."""
    secrets = {"user_data": base64.b64encode(b"#!/bin/sh\n" * 500).decode(), "files": {"/etc/x": "eA=="}}
    row = {"layout": kind, "format": system}
    for verb in ("new", "again"):
        walls, before = [], sum(os.times()[:4])
        for number in range(count):
            began = time.perf_counter()
            drive.provide(instance(number, kind, system), secrets, f"{state}/state", f"{state}/run", "auto")
            walls.append((time.perf_counter() - began) * 1000)
        row[verb] = round(statistics.median(walls), 2)
        row[f"{verb}_cpu"] = round((sum(os.times()[:4]) - before) * 1000 / count, 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("tests/output"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            measure(options.count, kind, system, pathlib.Path(folder))
            for kind in ("nocloud", "openstack")
            for system in ("iso9660", "vfat")
        ]
    for row in rows:
        says = "met   " if row["new"] <= GOAL else "MISSED"
        print("{0} {layout:9} {format:7} new {new:6.2f} ms ({new_cpu} cpu)  again {again} ms".format(says, **row))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "bench-config-drive.json").write_text(
        json.dumps({"goal_ms": GOAL, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
