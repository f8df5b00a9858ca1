# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of two hosts with OVN on it, and the playbooks over it.

This kernel need not have Open vSwitch: the hosts run its userspace datapath, for which their address is moved to a
bridge of it.
"""

from __future__ import annotations

import json
import os
import subprocess

from labs import Lab
from ovn_spec import GROUPS, NETWORKS, OUTSIDE, routers

PACKAGES = "openvswitch-switch ovn-host ovn-central openssl"
HOSTS = ("kvm1", "kvm2")
UPLINK = """
/usr/share/openvswitch/scripts/ovs-ctl --system-id={name} start >/dev/null 2>&1
ovs-vsctl br-exists br-phy && exit 0
mac=$(cat /sys/class/net/eth0/address)
ovs-vsctl add-br br-phy -- set bridge br-phy datapath_type=netdev fail_mode=standalone other_config:hwaddr=\\"$mac\\"
routes=$(ip route show default)
address=$(ip -4 -o address show dev br0 | sed 's/.* inet \\([^ ]*\\) .*/\\1/')
ip address flush dev br0; ip link set eth0 nomaster
ovs-vsctl add-port br-phy eth0
ip address add $address dev br-phy; ip link set br-phy up; ip link set eth0 up
[ -z "$routes" ] || ip route replace default via $(echo $routes | cut -d' ' -f3)
# A card of this datapath is seen by the kernel, too, which must not answer a second time.
nft add table netdev ovsdrop
nft 'add chain netdev ovsdrop in {{ type filter hook ingress device eth0 priority 0; policy drop; }}'
"""
COMMON = {
    "virtfleet_networks": NETWORKS,
    "virtfleet_routers": routers("kvm1"),
    "virtfleet_security_groups": GROUPS,
    "compute_host_ovn_datapath": "netdev",
}


class OvnLab:
    """The lab with OVN on it; `spec` are the variables of its playbooks."""

    def __init__(self, folder):
        os.environ.setdefault("LAB_PACKAGES", PACKAGES)
        self.spec = {"virtfleet_instances": []}
        self.lab = Lab(folder, "vfovnt", "10.204.0.0/16", 2)
        self.groups = folder / "groups.yml"
        self.groups.write_text(json.dumps({"ovn_central": {"hosts": {"kvm1": {}}}}))

    def up(self):
        self.lab.down()
        self.lab.lab("up", "2")
        for host in HOSTS:
            self.on(host, UPLINK.replace("{name}", host).replace("{{", "{").replace("}}", "}"))
        # The userspace datapath takes no packet whose checksum is still to be computed, as this machine's are.
        here = f"ip -o -4 address show to {self.lab.prefix}.0.1 | awk '{{print $2}}'"
        subprocess.run(f"ethtool -K $({here}) tx off", shell=True, check=True, capture_output=True)
        script = "ovs-vsctl br-exists br-ex || ovs-vsctl add-br br-ex -- set bridge br-ex datapath_type=netdev"
        self.on("kvm1", f"{script}; ip address replace {OUTSIDE}/24 dev br-ex; ip link set br-ex up")
        for again in (False, True):
            run = self.play("tests/lab/hosts.yml")
            assert run.code == 0, run.output
            assert not again or run.changed == 0, run.output

    def play(self, playbook, *arguments, **more):
        return self.lab.play(playbook, "-i", str(self.groups), *arguments, **{**COMMON, **self.spec, **more})

    def on(self, host, script):
        return self.lab.on(host, script)

    def nb(self, *words):
        return self.on("kvm1", "ovn-nbctl " + " ".join(words))
