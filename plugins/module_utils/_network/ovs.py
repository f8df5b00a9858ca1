# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend `ovs`: access ports on a bridge of Open vSwitch that the host already has. Private.

The tap is ours as everywhere; Open vSwitch is told of it, with the VLAN and the names that Nova and libvirt give. It
has no rules of ours, so there is neither port security nor a security group. Proof is the number that the switch
gives the port (ofport); -1 is what it says of one that it cannot open.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from .._model.errors import ItemError
from .links import Link
from .port import Port

MARK = "virtfleet-port"
TIMEOUT = 10  # seconds that ovs-vsctl waits for its daemon
POLL = 0.05


class Access(NamedTuple):
    """A port of a switch: its bridge, its VLAN (0 for none), whose it is, and its number once it is plugged."""

    bridge: str
    tag: int
    owner: str
    plugged: bool = True
    error: str = ""


def vsctl(*words: str) -> str:
    """Return what ovs-vsctl says."""
    command = ["ovs-vsctl", f"--timeout={TIMEOUT}", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ItemError("ovs-vsctl is not installed on this host: install the package openvswitch-switch")
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"no answer after {TIMEOUT} s"
        raise ItemError(f"Open vSwitch of this host: {said}")
    return done.stdout


def check(port: Port, addresses: dict[str, set[str]]) -> None:
    """Refuse a port that Open vSwitch cannot take, or that wants rules it would not have."""
    if port.port_security or port.filtered:
        told = "network of type ovs has neither port security nor security groups"
        raise ItemError(f"{told}, and network '{port.network}' wants them: say port_security: false", fault="request")
    if port.isolated:
        told = f"network '{port.network}' is of type ovs, which has no isolated ports"
        raise ItemError(f"{told}: leave port_isolated out", fault="request")
    if not 0 <= port.segment <= 4094:
        raise ItemError(f"network '{port.network}' has segmentation_id {port.segment}: want 1 to 4094", fault="request")
    if port.bridge not in vsctl("list-br").split():
        raise ItemError(
            f"bridge {port.bridge} of network '{port.network}' is none of Open vSwitch on this host: "
            "ovs-vsctl add-br it, or name another bridge"
        )


def needs(port: Port) -> list[Link]:
    """Return the links that must stand below the tap: none is ours."""
    return []


def settings(port: Port) -> dict[str, str]:
    """Return the kernel settings that the port needs: none."""
    return {}


def of(ports: Iterable[Port]) -> list[Port]:
    """Return the ports on Open vSwitch."""
    return [port for port in ports if port.type == "ovs"]


def wanted(ports: Iterable[Port]) -> dict[str, Access]:
    """Return the access ports that there should be, by tap."""
    return {port.tap: Access(port.bridge, port.segment, port.id) for port in of(ports)}


def rows(table: str, columns: str, *names: str) -> list[dict[str, Any]]:
    """Return rows of a table, by the names of its columns."""
    answer = json.loads(vsctl("--format=json", f"--columns={columns}", "--if-exists", "list", table, *names))
    return [dict(zip(answer["headings"], row)) for row in answer["data"]]


def plain(value: Any) -> Any:
    """Return a value of the database: an empty set is None, a map a dict."""
    if isinstance(value, list) and value and value[0] == "map":
        return dict(value[1])
    return None if value == ["set", []] else value


def actual(names: Iterable[str]) -> dict[str, Access]:
    """Return the access ports that there are of these taps."""
    names = sorted(names)
    if not names:
        return {}
    tags = {one["name"]: plain(one["tag"]) or 0 for one in rows("Port", "name,tag", *names)}
    found = {}
    for one in rows("Interface", "name,ofport,external_ids,error", *names):
        bridge, number = vsctl("iface-to-br", one["name"]).strip(), plain(one["ofport"])
        owner = (plain(one["external_ids"]) or {}).get(MARK, "")
        good = isinstance(number, int) and number >= 0
        found[one["name"]] = Access(bridge, tags.get(one["name"], 0), owner, good, plain(one["error"]) or "")
    return found


def make(ports: Iterable[Port], deadline: float) -> dict[str, str]:
    """The ports are on their switches, with numbers; return why one is not after so many seconds, by tap."""
    ports = of(ports)
    want, have = wanted(ports), actual(port.tap for port in ports)
    different = [port for port in ports if have.get(port.tap) != want[port.tap]]
    if not different:
        return {}
    words = [word for port in different for word in ("--", *add(port, have.get(port.tap)))]
    try:
        vsctl("--no-wait", *words)  # waited for below, for as long as a port may take
    except ItemError as error:
        return {port.tap: str(error) for port in different}
    return unproven({port.tap: want[port.tap] for port in different}, deadline)


def add(port: Port, have: Access | None) -> list[str]:
    """Return the words that put the port on its switch; one on another is moved."""
    moved = ["del-port", port.tap, "--"] if have and have.bridge != port.bridge else []
    names = {
        MARK: port.id,
        "iface-id": port.id,
        "attached-mac": port.mac,
        "vm-id": port.uuid,
        "iface-status": "active",
    }
    told = [f'external_ids:{key}="{value}"' for key, value in names.items()]
    tag = ["set", "Port", port.tap, f"tag={port.segment}"] if port.segment else ["clear", "Port", port.tap, "tag"]
    return [
        *moved,
        "--may-exist",
        "add-port",
        port.bridge,
        port.tap,
        "--",
        *tag,
        "--",
        "set",
        "Interface",
        port.tap,
        *told,
    ]


def unproven(want: dict[str, Access], deadline: float) -> dict[str, str]:
    """Wait until the switch gave every port its number; return why one has none after so many seconds, by tap."""
    end = time.monotonic() + deadline
    while True:
        have = actual(want)
        pending = {name: have.get(name) for name in want if have.get(name) != want[name]}
        failed = all(one and one.error for one in pending.values())
        if not pending or failed or time.monotonic() >= end:
            return {name: (one and one.error) or f"has no ofport after {deadline:g} s" for name, one in pending.items()}
        time.sleep(POLL)


def drop(ports: Iterable[Port]) -> None:
    """Ports of ours are on no switch."""
    gone = [word for port in of(ports) for word in ("--", "--if-exists", "del-port", port.tap)]
    if gone:
        vsctl(*gone)


def strays(known: Iterable[str]) -> list[str]:
    """Return the names of ports with our mark whose id is not among the known ones; none where there is no switch."""
    try:
        found = rows("Interface", "name,external_ids")
    except ItemError:
        return []
    marks = {one["name"]: (plain(one["external_ids"]) or {}).get(MARK, "") for one in found}
    ids = set(known)
    return sorted(name for name, mark in marks.items() if mark and mark not in ids)


def words_of(found: dict[str, Access]) -> dict[str, Any]:
    """Return access ports for a diff."""
    return {name: one._asdict() for name, one in sorted(found.items())}
