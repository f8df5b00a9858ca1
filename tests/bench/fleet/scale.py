# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time schedule, claim, audit and report of 200 to 10,000 hosts, in this process and without any host.

The host record is that of libvirt's test:/// driver with five of our domains defined, read by our own code and copied
under other names. The registry is an SQLite file. What is not in here is Ansible and the way to the hosts: bench.py.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "collections"))

from ansible_collections.virtfleet.compute.plugins.filter.scheduler_hosts import scheduler_hosts  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.filter.table import table  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import host  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor.connection import connect  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._model.instance import Instance  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry import report  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.claims import claim  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.connection import (  # noqa: E402
    reading,
    writing,
)
from ansible_collections.virtfleet.compute.plugins.module_utils._registry.ledger import Terms  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.module_utils._xml.domain import Guest, domain_xml  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.plugin_utils._audit import audit  # noqa: E402
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.decide import decide  # noqa: E402
from ansible_collections.virtfleet.compute.tests.unit.plugins.module_utils import instance_records  # noqa: E402

SIZES = (200, 1000, 10000)
GUESTS, ASKED = 5, 1000
CIDR = "10.0.0.0/8"
UNLIMITED = {"default": {"instances": -1, "cores": -1, "memory_mb": -1}}


def recorded() -> dict[str, Any]:
    """Return the record of a host of libvirt's test driver that has our domains."""
    with tempfile.TemporaryDirectory() as folder, connect(instance_records.host_uri(pathlib.Path(folder))) as driver:
        for number in range(GUESTS):
            instance = Instance.from_record(instance_records.record(f"old-{number}"))
            text = domain_xml(instance, Guest("qemu", "/state")).replace('<domain type="qemu">', '<domain type="test">')
            driver.defineXML(text.replace('arch="x86_64" machine="pc"', "")).create()
        return host.record(driver, "one", "qemu", folder)


def renamed(number: int, like: dict[str, Any]) -> dict[str, Any]:
    """Return the record under the name of another host, its guests being others too."""
    guests = []
    for place, guest in enumerate(like["instances"]):
        name = f"old-{number}-{place}"
        new = {"uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "name": name}
        guests.append({**guest, **new, "record": {**guest["record"], **new}})
    ratios = {"cpu_allocation_ratio": 16.0, "ram_allocation_ratio": 1.5, "disk_allocation_ratio": 100.0}
    return {**like, "name": f"host-{number:05}", "instances": guests, **ratios}


def asked(hosts: list[str]) -> list[dict[str, Any]]:
    """Return the records of new instances on these hosts."""
    wanted = []
    for number, name in enumerate(hosts):
        new = f"new-{number}"
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, new)
        mac = "52:" + ":".join(identity.hex[at : at + 2] for at in range(0, 10, 2))
        port = {"id": str(identity), "network": "lan", "mac": mac, "fixed_ip": None, "subnets": [{"cidr": CIDR}]}
        told = {"name": new, "uuid": str(identity), "project": "default", "domain": new, "host": name}
        flavor = {"name": "tiny", "vcpus": 1, "memory_mb": 64, "disk_gb": 1}
        wanted.append({**told, "flavor": flavor, "image": {"name": "i"}, "ports": [port], "spec_digest": "1"})
    return wanted


def measure(size: int, like: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of each step over a fleet of that size."""
    seconds: dict[str, float] = {"hosts": size}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        told = work()
        seconds[step] = round(time.perf_counter() - began, 3)
        return told

    fleet = [renamed(number, like) for number in range(size)]
    request = {"name": "new", "vcpus": 1, "memory_mb": 64, "disk_gb": 1, "num_instances": ASKED}
    decision = timed("schedule", lambda: decide([request], scheduler_hosts(fleet)))
    chosen = [one["host"] for one in decision["requests"][0]["instances"]]
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/registry.db"

        def transaction(instances: list, hosts: list) -> list:
            with writing(url) as connection:
                return claim(connection, instances, hosts, Terms(run="bench", quotas=UNLIMITED))

        timed("remember the hosts", lambda: transaction([], fleet))
        outcomes = timed("claim", lambda: transaction(asked(chosen), fleet))
        refused = [one.error for one in outcomes if one.error]
        if refused:
            raise SystemExit(f"{len(refused)} claims were refused: {refused[0]}")
        with reading(url) as connection:
            claims = timed("read the registry", lambda: report.instances(connection, "2026-01-01 10:00:00"))
    empty = {"traces": [], "unread": {}}
    names = [one["name"] for one in fleet]
    timed("audit", lambda: audit(fleet, claims, dict.fromkeys(names, empty)))
    rows = [{**guest["record"], "host": one["name"]} for one in fleet for guest in one["instances"]]
    timed("report", lambda: table(rows))
    return seconds


def main() -> None:
    top = argparse.ArgumentParser(description=__doc__)
    top.add_argument("--sizes", default=",".join(map(str, SIZES)))
    top.add_argument("--output", type=pathlib.Path, default=HERE)
    options = top.parse_args()
    like, rows = recorded(), []
    for size in map(int, options.sizes.split(",")):
        rows.append(measure(size, like))
        print(json.dumps(rows[-1]), flush=True)
    about = {"python": platform.python_version(), "instances": ASKED, "guests_a_host": GUESTS, "unit": "seconds"}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "scale.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
