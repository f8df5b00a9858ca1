# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated compute hosts on this machine, each with a network, disk, processes, SSH and libvirt of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import cgroups
import disk
import machine
import rootfs
import switch
from settings import BASE, MOST_HOSTS, Host, Lab, LabError, from_environment


def up(lab: Lab, options: argparse.Namespace) -> None:
    began = time.monotonic()
    count = max(options.hosts, len(lab.hosts()))
    if not 1 <= count <= MOST_HOSTS:
        raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {count}")
    if lab.subnet != lab.made_with():
        raise LabError(f"lab {lab.name} has LAB_NET={lab.made_with()}, not {lab.subnet}: `lab down` removes it")
    switch.refuse_taken(lab)
    rootfs.ensure()
    disk.prepare_lab(lab)
    lab.state.write_text(json.dumps({"name": lab.name, "net": str(lab.subnet), "hosts": count}))
    switch.ensure(lab)
    hosts = lab.hosts()
    for host in hosts:
        disk.install(host, hosts)
        machine.start(host)
    describe(lab)
    machine.wait(hosts)
    print(f"lab {lab.name}: {len(hosts)} hosts up after {time.monotonic() - began:.1f} s")


def describe(lab: Lab) -> None:
    """How to reach the hosts is written down for ssh, and readable for whoever called sudo."""
    hosts = lab.hosts()
    lab.known_hosts.write_text("".join(f"{host.address},{host.name} {disk.host_key(host)}\n" for host in hosts))
    common = f"  User root\n  IdentityFile {lab.key}\n  UserKnownHostsFile {lab.known_hosts}\n  ConnectTimeout 5\n"
    text = "".join(f"Host {host.name}\n  HostName {host.address}\n{common}" for host in hosts)
    (lab.folder / "ssh_config").write_text(text)
    if "SUDO_UID" in os.environ:
        os.chown(lab.key, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))


def down(lab: Lab, _options: argparse.Namespace) -> None:
    began = time.monotonic()
    hosts = lab.hosts()
    for host in hosts:
        machine.forget(host)
    switch.remove(lab)
    cgroups.remove_all(lab)
    disk.wipe(lab.folder)
    if BASE.is_dir() and not any(BASE.iterdir()):
        BASE.rmdir()
    print(f"lab {lab.name}: {len(hosts)} hosts gone after {time.monotonic() - began:.1f} s")


def status(lab: Lab, _options: argparse.Namespace) -> None:
    if not lab.hosts():
        print(f"lab {lab.name} is down")
    for host in lab.hosts():
        print(f"{host.name:8} {host.address:15} {machine.state(host)}")


def inventory(lab: Lab, _options: argparse.Namespace) -> None:
    """Print the hosts as Ansible reads them."""
    hosts = lab.hosts()
    reach = f"-o UserKnownHostsFile={lab.known_hosts} -o IdentitiesOnly=yes"
    common = {"ansible_user": "root", "ansible_ssh_private_key_file": str(lab.key), "ansible_ssh_common_args": reach}
    told = {
        "all": {"vars": {"lab_net": str(lab.subnet), "lab_gateway": lab.controller, "lab_pool": lab.pool}},
        "compute": {"hosts": [host.name for host in hosts], "vars": common},
        "registry": {"hosts": [host.name for host in hosts[:1]]},
        "_meta": {"hostvars": {host.name: {"ansible_host": host.address} for host in hosts}},
    }
    print(json.dumps(told, indent=1))


def execute(lab: Lab, options: argparse.Namespace) -> int:
    return machine.execute(lab.by_name(options.host), options.words or ["/bin/bash"])


def ssh(lab: Lab, options: argparse.Namespace) -> int:
    lab.by_name(options.host)
    return subprocess.run(
        ["ssh", "-F", lab.folder / "ssh_config", options.host, *options.words], check=False
    ).returncode


def boot(host: Host) -> None:
    machine.start(host)
    machine.wait([host])


def cut(host: Host) -> None:
    switch.set_cable(host, "down")


def heal(host: Host) -> None:
    switch.set_cable(host, "up")


def freeze(host: Host) -> None:
    cgroups.freeze(host, frozen=True)


def thaw(host: Host) -> None:
    cgroups.freeze(host, frozen=False)


LAB = {
    "up": (up, "start the lab, or the hosts of it that are off, or add hosts to it"),
    "down": (down, "remove the lab and all that is on its hosts"),
    "status": (status, "say of each host whether it is up, off, cut off or frozen"),
    "inventory": (inventory, "print the hosts for Ansible: inventories/lab asks for it"),
    "exec": (execute, "run a command in a host, past its SSH"),
    "ssh": (ssh, "run a command in a host over SSH"),
}
HOST = {
    "kill": (machine.kill, "a host loses its power; its disk stays"),
    "boot": (boot, "a host gets its power back"),
    "cut": (cut, "the cable of a host is pulled"),
    "heal": (heal, "the cable of a host is plugged in again"),
    "freeze": (freeze, "a host hangs: it takes connections and does nothing"),
    "thaw": (thaw, "a host that hangs goes on"),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="lab", description=__doc__, epilog="LAB_NAME and LAB_NET make a second lab.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, (_function, text) in {**LAB, **HOST}.items():
        one = verbs.add_parser(verb, help=text)
        if verb == "up":
            one.add_argument("hosts", type=int, nargs="?", default=3, help="how many, 3 unless told otherwise")
        if verb in ("exec", "ssh"):
            one.add_argument("host")
            one.add_argument("words", nargs=argparse.REMAINDER, metavar="command")
        if verb in HOST:
            one.add_argument("names", nargs="+", metavar="host")
    return top


def main() -> int:
    options = parser().parse_args()
    try:
        lab = from_environment()
        if os.geteuid() and options.verb not in ("inventory", "ssh"):
            raise LabError("only root can make hosts: run it with sudo")
        if options.verb in LAB:
            return LAB[options.verb][0](lab, options) or 0
        for host in [lab.by_name(name) for name in options.names]:
            HOST[options.verb][0](host)
        return 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
