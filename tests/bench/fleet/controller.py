# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU seconds of the controller by stage, with more and more guests on each host, and more and more new instances.

Hosts are records with guests of ours, told as role host_info tells them; request, placement, claim and settle run for
real, over a registry in SQLite. Run it with the collection in the Python path: make bench-controller.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import sys
import tempfile
from uuid import UUID

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests/unit/plugins/module_utils/registry")]
sys.path.insert(0, str(HERE))

from lab import play  # noqa: E402

from ansible_collections.virtfleet.compute.plugins.module_utils._model.host import pack, thinned  # noqa: E402
from ansible_collections.virtfleet.compute.tests.registry.conftest import host, inventory  # noqa: E402
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils.instance_records import record  # noqa: E402

HOSTS = 10
STORIES = ((0, 10), (10, 10), (100, 10), (0, 100))  # guests that each host has, new instances


def guest(name: str) -> dict:
    """Return what a host tells of a guest of ours, with ids of its own."""
    of = random.Random(name)
    uuid, port = (str(UUID(int=of.getrandbits(128))) for _each in range(2))
    mac = "52:54:00:" + ":".join(f"{of.getrandbits(8):02x}" for _byte in range(3))
    digest, whole = f"{of.getrandbits(256):064x}", record(name)
    whole = {**whole, "uuid": uuid, "ports": [{**whole["ports"][0], "id": port, "mac": mac}], "spec_digest": digest}
    sizes = {"vcpus": 0, "memory_mb": 0, "disk_gb": 0}
    about = {"uuid": uuid, "name": name, "project_id": "default", "ours": True, "state": "running", "damaged": False}
    return {**about, "spec_digest": digest, **sizes, "record": whole}


def crowded(name: str, guests: int) -> dict:
    """Return the record of a host with so many guests."""
    told = {**host(name, 10_000, 0), "instances": [guest(f"{name}-{number}") for number in range(guests)]}
    return {**told, "instances": pack(thinned(told, [])["instances"])}


def story(guests: int, new: int) -> dict:
    """Return a row of what booting so many new instances beside so many guests a host costs the controller."""
    with tempfile.TemporaryDirectory(prefix="virtfleet-bench-") as folder:
        path = pathlib.Path(folder)
        hosts = inventory(
            path, f"sqlite:///{folder}/registry.db", [crowded(f"kvm{one:02}", guests) for one in range(HOSTS)]
        )
        entry = {"name": "new", "count": new, "flavor": "one", "image": "halt", "networks": [{"network": "lan"}]}
        more = {"virtfleet_instances": [entry], "answer": f"{folder}/answer"}
        done = play(hosts, "../tests/registry/controller.yml", **more)
    return done.as_row(guests_a_host=guests, new=new)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--output", type=pathlib.Path, default=HERE / "controller.json")
    output = options.parse_args().output
    rows = []
    for guests, new in STORIES:
        rows.append(story(guests, new))
        stages = {name: one["controller_cpu"] for name, one in rows[-1]["stages"].items()}
        print(f"{guests:4} guests a host, {new:4} new: {rows[-1]['controller_cpu']:6.2f} s of CPU", stages, flush=True)
    output.write_text(json.dumps({"hosts": HOSTS, "cpus": os.cpu_count(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
