# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dnsmasq of each network of this host that has DHCP: started, told of changes, stopped. Private.

It runs in a network namespace of its own, with one link that is in the network's bridge: the host is not in the network
by it, and two networks may have the same ranges. It is a plain process, with systemd and without; a run that finds it
dead starts it again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping

from .._model.errors import ItemError
from . import dhcp, links
from .links import OURS
from .members import Members
from .nat import bridge_mac
from .port import Port
from .saved import replace

MARK = f"{OURS}dhcp"
NAMESPACES = "/run/netns"
# Who it becomes once it has its sockets; the first that the host has.
USERS = ("dnsmasq", "libvirt-dnsmasq", "nobody")
PATIENCE = 5.0


def folder(run_dir: str, key: str = "") -> str:
    """Return where the files of a server are; a reboot may take them, for ports are saved."""
    return os.path.join(run_dir, "dhcp", key) if key else os.path.join(run_dir, "dhcp")


@functools.lru_cache(maxsize=1)
def user() -> str:
    """Return who the server becomes."""
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in USERS if name in known or name == USERS[-1])


def wanted(ports: Iterable[Port], known: Mapping[str, Members], run_dir: str) -> dict[str, dict[str, str]]:
    """Return the files of every server that the ports need, by network."""
    return {
        network: dhcp.files(many, known, folder(run_dir, dhcp.key_of(network)), user())
        for network, many in dhcp.served(ports).items()
    }


def lines(port: Port, run_dir: str) -> set[str]:
    """Return the lines that the files of its network's server have for a port, configuration included."""
    files = dhcp.files([port], {}, folder(run_dir, dhcp.key_of(port.network)), user())
    return {line for content in files.values() for line in content.splitlines()}


def actual(run_dir: str) -> dict[str, dict[str, str]]:
    """Return the files of every server that runs, by key; of one that does not there are none."""
    return {key: files_of(run_dir, key) if pid_of(run_dir, key) and whole(key) else {} for key in keys(run_dir)}


def keys(run_dir: str) -> list[str]:
    """Return what of servers is on this host: folders, and namespaces of ours whose folder is gone."""
    found = set()
    with contextlib.suppress(OSError):
        found |= set(os.listdir(folder(run_dir)))
    found |= {name[len(dhcp.LINK) :] for name, mark in links.ours(dhcp.LINK).items() if f"{OURS}{mark}" == MARK}
    return sorted(found)


def whole(key: str) -> bool:
    """Say whether the link of a server is in a bridge, and its namespace is there."""
    return bool(links.master_of(dhcp.LINK + key)) and os.path.exists(os.path.join(NAMESPACES, dhcp.LINK + key))


def files_of(run_dir: str, key: str) -> dict[str, str]:
    """Return the files of a server as they are."""
    found = {}
    for name in ("conf", "hosts", "names"):
        with contextlib.suppress(OSError), open(os.path.join(folder(run_dir, key), name), encoding="utf-8") as file:
            found[name] = file.read()
    return found


def pid_of(run_dir: str, key: str) -> int:
    """Return the process of a server, 0 for none: a number that another process has by now does not count."""
    with contextlib.suppress(OSError, ValueError):
        with open(os.path.join(folder(run_dir, key), "pid"), encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            if os.path.join(folder(run_dir, key), "conf").encode() in file.read():
                return pid
    return 0


def apply(run_dir: str, ports: Iterable[Port], known: Mapping[str, Members]) -> dict[str, str]:
    """The servers are those that the ports need; return what went wrong, by network."""
    ports = list(ports)
    bridges = {port.network: port for port in ports}
    want, have = wanted(ports, known, run_dir), actual(run_dir)
    for key in set(have) - {dhcp.key_of(network) for network in want}:
        stop(run_dir, key)
    errors = {}
    for network, files in want.items():
        key = dhcp.key_of(network)
        if files == have.get(key):
            continue
        try:
            change(run_dir, bridges[network], files, have.get(key) or {})
        except ItemError as error:
            errors[network] = str(error)
    return errors


def change(run_dir: str, port: Port, files: dict[str, str], have: dict[str, str]) -> None:
    """The server runs with these files. It is only told of more, for it would not forget whom it gave an address."""
    key = dhcp.key_of(port.network)
    write(folder(run_dir, key), files)
    more = have and files["conf"] == have["conf"] and set(have["hosts"].split()) <= set(files["hosts"].split())
    if more:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(run_dir, key), signal.SIGHUP)
        return
    end(run_dir, key)
    connect(port)
    start(run_dir, key, port.network)


def write(path: str, files: dict[str, str]) -> None:
    """The files are there and nobody but the server's user need read them; it does so after it gave up root."""
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as error:
        raise ItemError(f"cannot create {path}: {error.strerror}")
    for name, content in files.items():
        replace(os.path.join(path, name), content, 0o644)


def connect(port: Port) -> None:
    """The namespace of the server has its link, which is in the bridge."""
    name = dhcp.link_of(port.network)
    if links.ip("-n", name, "link", "show", "dev", "lo").returncode:  # there is none, or only a file is left of it
        links.ip("netns", "delete", name)
        links.delete([name] if links.exists(name) else [])
        told(links.ip("netns", "add", name), f"cannot make the network namespace {name}")
    inner = [f"address replace {one.server}/{one.cidr.partition('/')[2]} dev eth0" for one in port.served]
    gateways = [one.gateway for one in port.served if one.gateway]
    inner += [f"route replace default via {gateways[0]}"] if gateways else []
    if not links.exists(name):
        told(links.ip(*f"link add {name} type veth peer name eth0 netns {name}".split()), f"cannot make {name}")
        for where in ([], ["-n", name]):  # neither end greets anybody over IPv6; a kernel without it refuses, and may
            links.ip(*where, "link", "set", "dev", "eth0" if where else name, "addrgenmode", "none")
    mac = bridge_mac(name)
    batch = [f"link set eth0 address {mac} mtu {port.mtu} up", *inner]
    told(links.ip("-n", name, "-batch", "-", stdin="\n".join(batch) + "\n"), f"cannot give {name} its address")
    outer = f"link set dev {name} alias {MARK} address {'fe' + mac[2:]} mtu {port.mtu} master {port.bridge} up"
    told(links.ip(*outer.split()), f"cannot put {name} into bridge {port.bridge}")


def told(done: subprocess.CompletedProcess[str], what: str) -> None:
    """Raise what ip complained about."""
    if done.returncode:
        raise ItemError(f"{what}: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")


def start(run_dir: str, key: str, network: str) -> None:
    """The server runs; dnsmasq comes back when it has its sockets."""
    command = ["dnsmasq", f"--conf-file={os.path.join(folder(run_dir, key), 'conf')}"]
    try:
        done = links.ip("netns", "exec", dhcp.LINK + key, *command)
    except OSError as error:
        raise ItemError(f"cannot start the DHCP server of network '{network}': {error.strerror}")
    told(done, f"cannot start the DHCP server of network '{network}' (package dnsmasq-base)")
    limit = time.monotonic() + PATIENCE
    while not pid_of(run_dir, key):  # it writes the file just after that
        if time.monotonic() > limit:
            raise ItemError(f"the DHCP server of network '{network}' did not come up within {PATIENCE:g} s")
        time.sleep(0.02)


def end(run_dir: str, key: str) -> None:
    """No process of the server is left."""
    limit = time.monotonic() + PATIENCE
    while pid := pid_of(run_dir, key):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM if time.monotonic() < limit else signal.SIGKILL)
        time.sleep(0.02)


def stop(run_dir: str, key: str) -> None:
    """Nothing of the server is left: process, link, namespace and files."""
    end(run_dir, key)
    name = dhcp.LINK + key
    if links.exists(name) and f"{OURS}{links.ours(name).get(name)}" == MARK:
        links.delete([name])
    if os.path.exists(os.path.join(NAMESPACES, name)):
        links.ip("netns", "delete", name)
    for file in ("conf", "hosts", "names", "pid"):
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(folder(run_dir, key), file))
    with contextlib.suppress(OSError):
        os.rmdir(folder(run_dir, key))
