# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OVN as users have it: installed by the roles on a Debian with systemd, in the datapath of its kernel, and rebooted.

    sudo .venv/bin/pytest -v tests/integration/ovn/test_systemd.py

The machine is emulated, and central and host at once; its guests are an emulator in it that stands still, and network
stacks behind taps.
"""

from __future__ import annotations

import json
import os
import subprocess

import pytest
from integration.emulated import DEADLINE, Machine
from labs import ROOT, Run
from ovn_spec import FLOATING, GROUPS, NETWORKS, OUTSIDE, routers
from stack import Guest

HOST, ADDRESS = "sys1", "10.0.2.15"  # as QEMU gives it
UNITS = "openvswitch-switch ovn-central ovn-host libvirtd.socket virtlogd.socket"  # that come at boot
DAEMONS = (
    "ovn-controller ovsdb-server ovs-vswitchd ovn-northd ovn-ovsdb-server-nb ovn-ovsdb-server-sb"  # that these bring
)
HALT = (b"\xfa\xf4\xeb\xfd").ljust(510, b"\0") + b"\x55\xaa"  # a boot sector: cli; hlt
ANSWERS = "bytes from"


def instance(name, address, **more):
    """Return an instance on the network red."""
    card = {"network": "red", "fixed_ip": address, **{key: more.pop(key) for key in ("floating_ip",) if key in more}}
    return {"name": name, "flavor": "still", "image": "halt", "networks": [card], "security_groups": ["open"], **more}


INSTANCES = [
    instance("halt", "10.70.0.10"),
    instance("red-1", "10.70.0.11", state="stopped"),
    instance("red-2", "10.70.0.12", state="stopped", floating_ip=FLOATING),
]
SPEC = {
    "virtfleet_flavors": {"still": {"vcpus": 1, "memory_mb": 32, "disk_gb": 1}},
    "virtfleet_images": {"halt": {"url": "file:///srv/halt.raw", "disk_format": "raw"}},
    "virtfleet_networks": NETWORKS,
    "virtfleet_routers": routers(HOST),
    "virtfleet_security_groups": GROUPS,
    "virtfleet_instances": INSTANCES,
    "compute_host_virt_type": "qemu",
    "compute_host_ovn_remote": f"ssl:{ADDRESS}:6642",
    "compute_host_ovn_encap_ip": ADDRESS,
    "host_info_cpu_allocation_ratio": 16,
}


class Emulated:
    """The machine, and the playbooks over it."""

    def __init__(self, folder):
        self.machine, self.inventory = Machine(folder, 1536), folder / "inventory.json"

    def up(self):
        self.machine.start()
        way = {"ansible_host": "127.0.0.1", "ansible_port": self.machine.port, "ansible_user": "debian"}
        way |= {"ansible_ssh_private_key_file": str(self.machine.key), "ansible_become": True}
        way |= {"ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"}
        groups = {"compute": {"hosts": {HOST: way}}, "ovn_central": {"hosts": {HOST: {}}}}
        self.inventory.write_text(json.dumps({"all": {"vars": SPEC, "children": groups}}))
        self.machine.run("cat >/srv/halt.raw", given=HALT.ljust(2**20, b"\0"))

    def play(self, playbook, *arguments):
        command = ["ansible-playbook", "-i", str(self.inventory), playbook, *arguments]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        run = Run(done.returncode, done.stdout + done.stderr)
        print(run.output)
        return run

    def on(self, _host, script):
        """Return what a shell script prints there; it must not fail."""
        return self.machine.run("sh -es", DEADLINE, script.encode())

    def sh(self, script):
        return self.on(HOST, script)

    def outside(self):
        """What the operator brings: a bridge that leads outside, on which this machine is the outside."""
        self.sh(f"ovs-vsctl --may-exist add-br br-ex; ip address replace {OUTSIDE}/24 dev br-ex; ip link set br-ex up")

    def guests(self):
        """Return the network stacks behind the taps of the stopped instances, by name."""
        ports = self.sh("cat /var/lib/virtfleet/ports/*.json | tr -d '\\n' | sed 's/}{/}\\n{/g'").splitlines()
        found = {}
        for saved in map(json.loads, ports):
            if saved["instance"] != "halt":
                address = {"address": saved["addresses"][0], "prefix": 24, "gateway": "10.70.0.1"}
                found[saved["instance"]] = Guest(self, HOST, {**saved, "addresses": [address]}).static()
        return found

    def settings(self):
        """Return what Open vSwitch knows of this host."""
        return self.sh("ovs-vsctl get open . external_ids ssl; cat /etc/openvswitch/system-id.conf")


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A Debian that has nothing of OVN."""
    one = Emulated(tmp_path_factory.mktemp("systemd"))
    try:
        one.up()
        yield one
    finally:
        one.machine.stop()


@pytest.fixture(scope="module")
def host(machine):
    """It is a host of OVN; a plan before that told so and changed nothing."""
    have = "dpkg -l | md5sum; ls /etc /etc/systemd/system; systemctl list-unit-files --state=enabled"
    before = machine.sh(have)
    planned = machine.play("tests/lab/hosts.yml", "--check", "--diff")
    assert planned.code == 0 and planned.changed and machine.sh(have) == before
    run = machine.play("tests/lab/hosts.yml")
    assert run.code == 0 and run.changed
    machine.outside()
    return machine


@pytest.fixture(scope="module")
def booted(host):
    """The instances are there."""
    planned = host.play("playbooks/boot.yml", "--check")
    assert planned.code == 0 and "halt" not in host.sh("ovn-nbctl show")
    run = host.play("playbooks/boot.yml")
    assert run.code == 0
    return host


def runs(host):
    """Fail unless all of it runs, comes at boot, and is connected as it should be."""
    assert set(host.sh(f"systemctl is-enabled {UNITS}").split()) == {"enabled"}
    assert set(host.sh(f"systemctl is-active {UNITS} {DAEMONS}").split()) == {"active"}
    failed = host.sh("systemctl --failed --plain --no-legend")  # netplan's are given ten seconds, too few here
    assert not any(word in failed for word in ("ovs-v", "ovsdb", "ovs-r", "ovn", "openvswitch", "virt")), failed
    named = "ovs-vsctl get open . external_ids:hostname"
    assert host.sh("ovn-sbctl --bare --columns=name,hostname list Chassis").split() == [HOST, host.sh(named).strip()]
    host.sh(
        "timeout 60 sh -c 'until ovn-appctl -t ovn-controller connection-status | grep -qx connected; do sleep 1; done'"
    )


def test_a_second_run_changes_nothing(host):
    runs(host)
    for arguments in ((), ("--check",)):
        run = host.play("tests/lab/hosts.yml", *arguments)
        assert run.code == 0 and run.changed == 0


def test_the_kernels_datapath_and_tls(host):
    assert "system@ovs-system" in host.sh("ovs-appctl dpif/show")
    assert "openvswitch" in host.sh("lsmod")
    assert f"ssl:{ADDRESS}:6642" in host.sh("ovs-vsctl get open . external_ids:ovn-remote")
    there = host.sh("ss -Htnp state established '( dport = :6642 )'")
    assert "ovn-controller" in there, there
    stranger = host.sh(f"openssl s_client -tls1_2 -connect {ADDRESS}:6642 </dev/null 2>&1 || true; openssl version")
    assert "alert" in stranger and "CN = " in stranger, stranger


def test_what_somebody_stopped_and_disabled_runs_again(host):
    """Also a daemon that is not the one that answers for its package."""
    host.sh("systemctl disable -q ovn-host ovn-central; systemctl stop ovn-northd ovs-vswitchd")
    planned = host.play("tests/lab/hosts.yml", "--check", "--diff")
    assert planned.code == 0 and planned.changed
    assert host.play("tests/lab/hosts.yml").changed
    runs(host)
    assert host.play("tests/lab/hosts.yml").changed == 0


def test_guests_in_the_kernels_datapath(booted):
    port = booted.sh("ovn-nbctl --bare --columns=name find Logical_Switch_Port up=true").split()
    assert len(port) >= 3
    installed = booted.sh("ovs-vsctl --bare --columns=name find Interface external_ids:ovn-installed=true").split()
    assert len(installed) == 3
    assert "halt" in booted.sh("virsh list --name --state-running")
    assert booted.play("playbooks/boot.yml").changed == 0
    assert booted.play("playbooks/boot.yml", "--check").changed == 0
    reach(booted)


def reach(host):
    """Fail unless guests reach each other, the outside, and one is reached from there."""
    stacks = host.guests()
    assert stacks["red-1"].pings("10.70.0.12") and stacks["red-1"].pings("10.70.0.12", "-s 1414")
    assert stacks["red-1"].pings(OUTSIDE), "by SNAT, which the kernel's connection tracking does"
    assert ANSWERS in host.sh(f"busybox ping -c 3 -W 2 {FLOATING} || busybox ping -c 2 -W 2 {FLOATING}")


def test_all_of_it_is_there_again_after_a_reboot(booted):
    """Also a guest that libvirt starts by itself, and not before its port has its flows."""
    known = booted.settings()
    booted.sh("virsh autostart halt; virsh destroy halt")  # it would not end by itself, and libvirt would wait
    booted.machine.reboot()
    runs(booted)
    assert booted.settings() == known
    started = "until virsh list --name --state-running | grep -qx halt; do sleep 1; done"
    booted.sh(f"timeout 120 sh -c '{started}' || journalctl -b -u libvirtd --no-pager >&2")
    assert "halt" in booted.sh("virsh list --name --state-running"), booted.sh("journalctl -b -u libvirtd --no-pager")
    assert booted.play("tests/lab/hosts.yml").changed == 0
    booted.outside()
    again = booted.play("playbooks/boot.yml")
    assert again.code == 0 and booted.play("playbooks/boot.yml").changed == 0
    reach(booted)


def test_what_is_deleted_leaves_nothing(booted):
    assert booted.play("playbooks/delete.yml", "-e", "names=all").code == 0
    assert "tap" not in booted.sh("ovs-vsctl list-ports br-int")
    audit = booted.play("playbooks/audit.yml")
    assert audit.code == 0 and "nothing stray" in audit.output
