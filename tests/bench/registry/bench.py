# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time transactions of 1,000 instances on 40 hosts: claim, claim again, settle, release; in SQLite and in PostgreSQL.

Both are real, on this machine, with every commit on the disk. The goal is 2 s for a claim. The registries hold so many
other instances already, as a fleet in use does. Run it with the collection in the Python path: make bench-registry.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/unit"), str(ROOT / "tests/unit/plugins/module_utils/registry")]

importlib.import_module("conftest")  # the clone is the collection

import postgres_server  # noqa: E402
from registry_fleet import host, instance, port  # noqa: E402

from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import writing  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.settle import release, settle  # noqa: E402

UNLIMITED = {"default": {"instances": -1, "cores": -1, "memory_mb": -1}}
LAN = {"cidr": "198.18.0.0/16"}
GOAL = 2.0


def asked(prefix: str, count: int, hosts: int) -> list[dict]:
    """Return so many instances, each with a port, spread over the hosts."""
    names = [f"{prefix}-{number}" for number in range(count)]
    return [
        instance(name, at=f"vfr-h{number % hosts}", ports=[port(name, subnets=[LAN])])
        for number, name in enumerate(names)
    ]


def timed(url: str, function, *arguments) -> dict[str, float]:
    """Return wall and processor seconds of one transaction, opening and commit included; none of it may be refused."""
    began, cpu = time.perf_counter(), time.process_time()
    with writing(url) as connection:
        outcomes = function(connection, *arguments)
    told = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    if any(one.error for one in outcomes):
        raise RuntimeError(next(one.error for one in outcomes if one.error))
    return told


def one_round(url: str, number: int, count: int, hosts: int) -> dict[str, dict[str, float]]:
    """Return the times of all four, on an otherwise unchanged registry."""
    fleet = [host(f"vfr-h{one}", vcpus=10**4, memory_mb=10**7, disk_gb=10**6) for one in range(hosts)]
    wanted, terms = asked(f"r{number}", count, hosts), Terms(f"run-{number}", quotas=UNLIMITED)
    return {
        "claim": timed(url, claim, wanted, fleet, terms),
        "again": timed(url, claim, wanted, fleet, terms),
        "settle": timed(url, settle, wanted, terms),
        "release": timed(url, release, wanted, terms),
    }


def bench(url: str, options) -> dict[str, dict[str, float]]:
    """Return the median times of a registry that holds other instances."""
    with writing(url) as connection:
        fleet = [host(f"vfr-h{one}", vcpus=10**4, memory_mb=10**7, disk_gb=10**6) for one in range(options.hosts)]
        claim(connection, asked("old", options.others, options.hosts), fleet, Terms("before", quotas=UNLIMITED))
    rounds = [one_round(url, number, options.count, options.hosts) for number in range(options.rounds)]
    return {
        verb: {kind: round(statistics.median(one[verb][kind] for one in rounds), 3) for kind in ("wall", "cpu")}
        for verb in rounds[0]
    }


def main() -> int:
    """Print the table and write the JSON; the exit code says whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--hosts", type=int, default=40)
    parser.add_argument("--others", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path(__file__).parent / "bench.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres_server.server() as server:
        urls = {"sqlite": f"sqlite:///{folder}/registry.db", "postgresql": postgres_server.empty_database(server)}
        found = {kind: bench(url, options) for kind, url in urls.items()}
    print(
        f"{options.count} instances on {options.hosts} hosts beside {options.others} others, median of {options.rounds}"
    )
    for kind, verbs in found.items():
        print(f"{kind:<12}" + "".join(f"{verb} {one['wall']:.2f} s   " for verb, one in verbs.items()))
    asked_for = {key: value for key, value in vars(options).items() if key != "json"}
    options.json.write_text(json.dumps({"goal": GOAL, **asked_for, "seconds": found}, indent=2) + "\n")
    return int(any(verbs["claim"]["wall"] > GOAL for verbs in found.values()))


if __name__ == "__main__":
    sys.exit(main())
