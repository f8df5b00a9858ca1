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
import ipaddress
import json
import pathlib
import resource
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests/integration/port")]
MOST_RELOAD, MOST_RATIO, MOST_LOOK = 0.5, 2.0, 7.0
FIRST = ipaddress.IPv4Address("172.29.16.10")
SUBNET = {"cidr": "172.29.16.0/20", "gateway": "172.29.16.1", "dns": [], "pool": [], "dhcp_server": "172.29.31.254"}
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


def record(instance, number, served):
    """Return an instance with security groups; every tenth has rules that no other has. `served` is with DHCP."""
    own = [{"name": "own", "rules": [{"protocol": "tcp", "ports": str(1000 + number)}]}] if number % 10 == 0 else []
    one = instance(number % 240, net=number // 240, security_groups=[*GROUPS, *own])
    port_id = f"{number:08x}-0000-4000-8000-000000000000"
    mac = f"52:54:00:00:{number // 256:02x}:{number % 256:02x}"
    one["ports"][0].update(id=port_id, tap=f"tap{number:08x}000", mac=mac)
    if served:
        address = {"address": str(FIRST + number), "prefix": 20, "gateway": SUBNET["gateway"], "cidr": SUBNET["cidr"]}
        one["ports"][0].update(subnets=[SUBNET], addresses=[address], dns_domain="lab.example")
    return {**one, "name": f"vfn-{number}", "hostname": f"vfn-{number}", "uuid": port_id}


def part(name):
    """Return one file of stage port; the collection is found once the path is there."""
    return importlib.import_module(f"ansible_collections.virtfleet.compute.plugins.module_utils._network.{name}")


def measure(count, served):
    """Return what a host with so many ports takes: to load all rules, to look at all, and to plug one more."""
    node, nft, host, dnsmasq = importlib.import_module("node"), part("nft"), part("host"), part("dnsmasq")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder).chmod(0o755)  # the user of dnsmasq reads its files
        here = node.Node(pathlib.Path(folder))
        records = [record(node.instance, number, served) for number in range(count)]
        groups = {"default/web/lan": [one["ports"][0]["addresses"][0]["address"] + "/32" for one in records]}
        failed = [one.error for one in here.plug(*records, serial=1, groups=groups) if one.error]
        if failed:
            raise SystemExit(failed[0])
        known = part("members").read(here.host.state_dir)
        rules = host.rules_of(part("saved").read(here.host.state_dir).values(), known)
        reload = min(timed(lambda: nft.load(rules, here.host.run_dir, "again")) for _round in range(3))
        look = min(timed(lambda: here.plug(*records, check_mode=True)) for _round in range(3))
        more = []
        for number in range(3):
            extra = record(node.instance, 1000 + number, served)
            more.append(timed(lambda one=extra: here.plug(one)))
        dnsmasq.apply(here.host.run_dir, [], {})
        node.clean()
    lines = rules.count("\n")
    return {"ports": count, "dhcp": served, "reload": reload, "look": look, "one_more": min(more), "lines": lines}


def told(found):
    """Print the figures of one kind of network and return whether they are good."""
    for one in found:
        (cpu, wall), (cpu_more, wall_more), (cpu_look, _wall) = one["reload"], one["one_more"], one["look"]
        print(
            f"{one['ports']:4} ports{' with DHCP' if one['dhcp'] else ''}: all rules again {cpu:.3f} s ({wall:.3f} s "
            f"wall, {one['lines']} lines), a look at all {cpu_look:.3f} s, one port more {cpu_more:.3f} s "
            f"({wall_more:.3f} s wall)"
        )
    few, some, many = found
    ratio, looks = many["one_more"][0] / few["one_more"][0], many["look"][0] / some["look"][0]
    print(f"one more with 500 ports takes {ratio:.1f} times what it takes with 10 (goal: {MOST_RATIO:g})")
    print(f"a look at 500 takes {looks:.1f} times what it takes at 100 (goal: {MOST_LOOK:g})")
    return many["reload"][0] <= MOST_RELOAD and ratio <= MOST_RATIO and looks <= MOST_LOOK


def main():
    found = [[measure(count, served) for count in (10, 100, 500)] for served in (False, True)]
    good = [told(one) for one in found]
    print(json.dumps(found))
    return not all(good)


if __name__ == "__main__":
    sys.exit(main())
