# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts of OVN that are namespaces, guests that are network stacks on them, and what a run does about OVN."""

from __future__ import annotations

import contextlib
import time

from host import OvnHost, sh
from machine import Machine
from ovn_spec import BLUE, GROUPS, NETWORKS, OUTSIDE, RED, routers

from ansible_collections.virtfleet.compute.plugins.module_utils._ovn import apply as ovn
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn.row import switch_of
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request import networks, resolve

NORTH = "/run/ovn/ovnnb_db.sock"
ROUTERS = routers("one")
NO = 0.7


def records(places, groups=None):
    """The instance records as stage request and stage claim make them, by name.

    A place is (host, network, address, groups with commas or nothing, what the port says beside that); `groups` are in
    place of the usual ones.
    """
    entries = [
        {
            "name": name,
            "flavor": "s",
            "image": "i",
            "networks": [{"network": network, **more}],
            **({"security_groups": members.split(",")} if members else {}),
        }
        for name, (_host, network, _address, members, more) in places.items()
    ]
    spec = {
        "virtfleet_flavors": {"s": {"vcpus": 1, "memory_mb": 64}},
        "virtfleet_images": {"i": {"url": "file:///i"}},
        "virtfleet_networks": NETWORKS,
        "virtfleet_routers": ROUTERS,
        "virtfleet_security_groups": groups or GROUPS,
        "virtfleet_instances": entries,
    }
    made, problems = resolve.request(spec)
    assert [str(one) for one in problems] == []
    for one in made:
        _host, network, address, _groups, _more = places[one["name"]]
        gateway = one["ports"][0]["subnets"][0]["gateway"]
        told = {"address": address, "prefix": 24, "gateway": gateway, "dns": []}
        one["ports"][0]["addresses"] = [{**told, "cidr": BLUE if network == "blue" else RED}]
    return {one["name"]: one for one in made}


class Fleet:
    """Two hosts, and what a run does about OVN."""

    def __init__(self, folder, root):
        self.hosts = {
            name: OvnHost(name, address, folder / name, root)
            for name, address in (("one", "10.99.0.1"), ("two", "10.99.0.2"))
        }
        self.one, self.two = self.hosts.values()
        try:
            self.build()
        except Exception:
            self.close()
            raise

    def build(self):
        """Put a cable between the hosts, and make them one OVN."""
        sh("ip link delete vfo1 2>/dev/null || true; ip link add vfo1 type veth peer name vfo2")
        for link, host in (("vfo1", self.one), ("vfo2", self.two)):
            sh(f"ethtool -K {link} tx off >/dev/null 2>&1 || true; ip link set {link} netns {host.holder.pid}")
            with host:
                host.cable(link)
        with self.one:
            self.one.central()
            sh("ovs-vsctl add-br br-ex -- set bridge br-ex datapath_type=netdev fail_mode=standalone")
            sh(f"ip addr add {OUTSIDE}/24 dev br-ex; ip link set br-ex up; ethtool -K br-ex tx off 2>/dev/null || true")
        self.one.follow(self.one, f"{switch_of('public')}:br-ex")
        self.two.follow(self.one)

    def tell(self, *instances, away=False, **more):
        """Do what module ovn_ports does on the central."""
        params = {"instances": list(instances), "networks": networks.chosen(NETWORKS), "routers": ROUTERS, **more}
        with self.one:
            look = ovn.planned_removal if away else ovn.planned
            whole, outcomes = look(ovn.read(NORTH), params)
            ovn.apply(NORTH, whole)
        return whole, outcomes

    def nb(self, words):
        with self.one:
            return sh(f"ovn-nbctl {words}")

    def close(self):
        for host in self.hosts.values():
            host.close()

    @contextlib.contextmanager
    def guests(self, places):
        """Guests on both hosts, plugged as a run plugs them, by name."""
        made = records(places)
        _whole, outcomes = self.tell(*made.values())
        assert [one.error for one in outcomes] == [""] * len(made) and all(one.changed for one in outcomes)
        with contextlib.ExitStack() as stack:
            machines = {}
            for name, host in self.hosts.items():
                mine = [one for one in made.values() if places[one["name"]][0] == name]
                with host:
                    start = time.monotonic()
                    plugged = host.node.plug(*mine)
                    assert [one.error for one in plugged] == [""] * len(mine)
                    print(f"{len(mine)} ports plugged on {name} in {time.monotonic() - start:.2f} s")
                    assert [one.changed for one in host.node.plug(*mine)] == [False] * len(mine)
                    for one in mine:
                        machines[one["name"]] = Machine(one)
                        stack.callback(machines[one["name"]].close)
            yield machines

    def delete(self, places):
        """Take the guests of these places away, as delete.yml does."""
        made = records(places)
        for name, host in self.hosts.items():
            with host:
                host.node.unplug(*(one for one in made.values() if places[one["name"]][0] == name))
        self.tell(*made.values(), away=True, networks=[], routers={})


def pings(machine, address, more=""):
    """The first frame to where nobody was yet may be lost: its host is asked for the way to the other first."""
    return machine.pings(address, 1, 1, more) or machine.pings(address, 2, 1, more)
