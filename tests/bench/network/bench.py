# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the ports of a host take, with 10 to 500 of them. Run it as root in a network namespace of its own:

tests/tools/in-netns python tests/bench/network/bench.py

Times are those of the processor (ours, of nft and of ip), which other work of the machine stretches less; wall time is
told beside them. Each figure is the best of three.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import resource
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests/integration/port")]
MOST_RELOAD, MOST_RATIO = 0.5, 2.0
GROUPS = [
    {
        "name": "web",
        "rules": [{"protocol": "tcp", "ports": "443"}, {"remote_group": "web"}, {"direction": "egress"}],
    }
]


def timed(step):
    """Return (processor seconds, wall seconds) of a step."""

    def spent():
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(one.ru_utime + one.ru_stime for one in used)

    before, started = spent(), time.monotonic()
    step()
    return spent() - before, time.monotonic() - started


def record(instance, number):
    """Return an instance with security groups; every tenth has rules that no other has."""
    own = [{"name": "own", "rules": [{"protocol": "tcp", "ports": str(1000 + number)}]}] if number % 10 == 0 else []
    one = instance(number % 240, net=number // 240, security_groups=[*GROUPS, *own])
    port_id = f"{number:08x}-0000-4000-8000-000000000000"
    mac = f"52:54:00:00:{number // 256:02x}:{number % 256:02x}"
    one["ports"][0].update(id=port_id, tap=f"tap{number:08x}000", mac=mac)
    return {**one, "name": f"vfn-{number}", "uuid": port_id}


def measure(count):
    """Return what a host with so many ports takes to load all rules again, and to plug one more port."""
    node = importlib.import_module("node")
    base = "ansible_collections.virtfleet.compute.plugins.module_utils._network"
    nft, members, saved, host = (
        importlib.import_module(f"{base}.{name}") for name in ("nft", "members", "saved", "host")
    )
    with tempfile.TemporaryDirectory() as folder:
        here = node.Node(pathlib.Path(folder))
        records = [record(node.instance, number) for number in range(count)]
        groups = {"default/web/lan": [one["ports"][0]["addresses"][0]["address"] + "/32" for one in records]}
        failed = [one.error for one in here.plug(*records, serial=1, groups=groups) if one.error]
        if failed:
            raise SystemExit(failed[0])
        rules = host.rules_of(saved.read(here.host.state_dir).values(), members.read(here.host.state_dir))
        reload = min(timed(lambda: nft.load(rules, here.host.run_dir, "again")) for _round in range(3))
        more = []
        for number in range(3):
            extra = record(node.instance, 1000 + number)
            more.append(timed(lambda one=extra: here.plug(one)))
        node.clean()
    return {"ports": count, "reload": reload, "one_more": min(more), "lines": rules.count("\n")}


def main():
    found = [measure(count) for count in (10, 100, 500)]
    for one in found:
        cpu, wall = one["reload"]
        cpu_more, wall_more = one["one_more"]
        print(
            f"{one['ports']:4} ports: all rules again {cpu:.3f} s ({wall:.3f} s wall, {one['lines']} lines), "
            f"one port more {cpu_more:.3f} s ({wall_more:.3f} s wall)"
        )
    ratio = found[-1]["one_more"][0] / found[0]["one_more"][0]
    print(f"one more with 500 ports takes {ratio:.1f} times what it takes with 10 (goal: {MOST_RATIO:g})")
    print(json.dumps(found))
    return found[-1]["reload"][0] > MOST_RELOAD or ratio > MOST_RATIO


if __name__ == "__main__":
    sys.exit(main())
