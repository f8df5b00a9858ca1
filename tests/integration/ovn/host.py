# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of OVN that are namespaces of this machine, with real daemons of their own and a cable between them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time

from node import Node

from ansible_collections.virtfleet.compute.plugins.module_utils import _ovsdb
from ansible_collections.virtfleet.compute.plugins.module_utils._ovn import certificates, settings

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
LIBC = ctypes.CDLL(None, use_errno=True)
FOLDERS = "/run/openvswitch /run/ovn /etc/openvswitch /etc/ovn /var/lib/openvswitch /var/lib/ovn /var/log/openvswitch"
FOLDERS += " /var/log/ovn /run/netns"
CERTIFICATES = "/etc/ovn/virtfleet"


def call(function, *arguments):
    if function(*arguments):
        raise OSError(ctypes.get_errno(), function.__name__)


def go(handles):
    here = os.getcwd()
    for handle, kind in handles:
        call(LIBC.setns, handle, kind)
    os.chdir(here)


def handles():
    kinds = (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))
    return [(os.open(f"/proc/self/ns/{name}", os.O_RDONLY), kind) for name, kind in kinds]


def sh(command):
    """Run a command and return what it prints."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class OvnHost:
    """A context in which this process is on the host."""

    def __init__(self, name, address, folder, root):
        self.name, self.address, self.home, self.back = name, address, handles(), []
        call(LIBC.unshare, CLONE_NEWNET | CLONE_NEWNS)
        try:
            sh("mount --make-rprivate / && mount -t sysfs vfo /sys && ip link set lo up")
            for one in FOLDERS.split():
                sh(f"mkdir -p {one}; mount -t tmpfs vfo {one}")
            sh(f"mount -t overlay vfo -o lowerdir={root}/usr:/usr /usr")
            self.away, self.node = handles(), Node(folder)
            self.holder = subprocess.Popen(["sleep", "3600"])
        finally:
            go(self.home)

    def __enter__(self):
        self.back.append(handles())
        go(self.away)
        return self

    def __exit__(self, *_error):
        back = self.back.pop()
        go(back)
        for handle, _kind in back:
            os.close(handle)

    def cable(self, link):
        """The end of the cable is the uplink of the userspace datapath, which has the address of the host."""
        sh(f"/usr/share/openvswitch/scripts/ovs-ctl --system-id={self.name} --no-monitor start >/dev/null 2>&1")
        kind = "datapath_type=netdev fail_mode=standalone"
        sh(f"ovs-vsctl add-br br-phy -- set bridge br-phy {kind} -- add-port br-phy {link}")
        sh(f"ip addr add {self.address}/24 dev br-phy; ip link set br-phy up; ip link set {link} up")
        sh("nft add table netdev vfodrop")  # the kernel sees what comes in, too, and must not answer
        hook = f"type filter hook ingress device {link} priority 0; policy drop;"
        sh(f"nft 'add chain netdev vfodrop in {{ {hook} }}'")

    def central(self):
        """OVN's databases run here, and hosts come over TLS."""
        sh("/usr/share/ovn/scripts/ovn-ctl start_northd >/dev/null 2>&1")
        certificates.authority(CERTIFICATES)
        self.certify(self)
        _ovsdb.transact(settings.SOUTH, "OVN_Southbound", settings.central(files(), 6642))
        assert settings.central(files(), 6642) == []

    def certify(self, central):
        """The host has a certificate that the central signed; nothing but texts went between them."""
        with self:
            asked = certificates.request(CERTIFICATES, self.name)
        with central:
            certificate = certificates.signed(CERTIFICATES, self.name, asked)
            authority = certificates.read(CERTIFICATES, certificates.AUTHORITY)
        with self:
            certificates.install(CERTIFICATES, certificate, authority)
            assert certificates.valid(CERTIFICATES, self.name) and not certificates.valid(CERTIFICATES, "another")

    def follow(self, central, mappings=""):
        """The host is one of OVN's."""
        if central is not self:
            self.certify(central)
        wanted = {
            "system-id": self.name,
            "hostname": self.name,
            "ovn-remote": f"ssl:{central.address}:6642",
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": self.address,
            "ovn-bridge-datapath-type": "netdev",
            "ovn-bridge-mappings": mappings,
        }
        with self:
            _ovsdb.transact(_ovsdb.SWITCH, "Open_vSwitch", settings.chassis(files(), wanted))
            assert settings.chassis(files(), wanted) == []
            sh("/usr/share/ovn/scripts/ovn-ctl start_controller >/dev/null 2>&1")
            end = time.monotonic() + 20
            while "br-int" not in sh("ovs-vsctl list-br") and time.monotonic() < end:
                time.sleep(0.1)

    def close(self):
        """No process of the host is left."""
        with self:
            for one in ("/run/ovn", "/run/openvswitch"):
                pids = sh(f"cat {one}/*.pid 2>/dev/null || true").split()
                sh(f"kill {' '.join(pids)} 2>/dev/null || true")
        self.holder.kill()
        self.holder.wait()


def files():
    """What a database is told of."""
    return {
        "private_key": f"{CERTIFICATES}/{certificates.KEY}",
        "certificate": f"{CERTIFICATES}/{certificates.CERTIFICATE}",
        "ca_cert": f"{CERTIFICATES}/{certificates.AUTHORITY}",
    }
