# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of the host: what is wanted, what is there (from sysfs), and the lines of `ip -batch` between them. Private."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .._model.errors import ItemError
from . import addresses4

SYSFS = "/sys/class/net"
# Every link of ours carries this in its alias, so that a link of somebody else with such a name is left alone.
OURS = "virtfleet:"
# The first of the link groups that a deletion may use for a moment; any number that nobody has will do.
GROUP = 7666
# What the names of links of kind ifb begin with: sysfs does not tell that kind.
IFB = "vfi"
GRACE = 2.0  # seconds
VLAN = "vlan "  # what lines of bridge, not of ip, begin with
MULTI_QUEUE = 0x0100  # of tun_flags, linux/if_tun.h


@dataclass(frozen=True)
class Link:
    """A tap, a bridge, a vxlan or VLAN link or an ifb.

    `addresses` have a prefix ("10.0.0.1/24"); others on the link are not looked at. `guard` makes the bridge cut off a
    guest that speaks spanning tree to it: such frames go to a bridge with STP on without passing any rule of nftables.
    An `isolated` port of a bridge is kept from its other isolated ports.
    A `queued` tap may have several queues; one that a guest has open stays as it is.
    `tunnel` is how a vxlan or VLAN link is made ("id 100 local 10.0.0.1"); it is not read back, but part of the alias.
    `uplink` is a link of others that a bridge of ours has in it, `vlan` the VLAN that a tap is an access port of.
    """

    name: str
    kind: str
    alias: str
    mac: str
    mtu: int
    master: str = ""
    addresses: tuple[str, ...] = ()
    up: bool = True
    guard: bool = False
    isolated: bool = False
    tunnel: str = ""
    queued: bool = False
    uplink: str = ""
    vlan: int = 0


def attribute(name: str, *path: str) -> str:
    """Return one value of sysfs, empty if it is not there."""
    try:
        with open(os.path.join(SYSFS, name, *path), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def exists(name: str) -> bool:
    """Say whether the host has a link of this name."""
    return os.path.exists(os.path.join(SYSFS, name))


def kind_of(name: str) -> str:
    """Return "tap", "bridge", "vxlan", "vlan", "ifb" or "other"."""
    if os.path.isdir(os.path.join(SYSFS, name, "bridge")):
        return "bridge"
    kind = attribute(name, "uevent").partition("DEVTYPE=")[2].partition("\n")[0]
    if kind in ("vxlan", "vlan"):
        return kind
    if os.path.exists(os.path.join(SYSFS, name, "tun_flags")):
        return "tap"
    return "ifb" if name.startswith(IFB) else "other"


def queued(name: str) -> bool:
    """Say whether a tap may have several queues."""
    return bool(int(attribute(name, "tun_flags") or "0", 16) & MULTI_QUEUE)


def in_use(name: str) -> bool:
    """Say whether a guest has the tap open."""
    return attribute(name, "carrier") == "1"


def master_of(name: str) -> str:
    """Return the bridge that the link is a port of; the kernel makes brport when the link is really in."""
    try:
        return os.path.basename(os.readlink(os.path.join(SYSFS, name, "brport", "bridge")))
    except OSError:
        return ""


def read(wanted: Link, addresses: dict[str, set[str]]) -> Link | None:
    """Return the link of the wanted one's name as it is now, None if there is none."""
    if not exists(wanted.name):
        return None
    have = addresses.get(wanted.name, set())
    return Link(
        name=wanted.name,
        kind=kind_of(wanted.name),
        alias=attribute(wanted.name, "ifalias"),
        mac=attribute(wanted.name, "address") if wanted.mac else "",
        mtu=int(attribute(wanted.name, "mtu") or 0),
        master=master_of(wanted.name),
        addresses=tuple(address for address in wanted.addresses if address in have),
        up=bool(int(attribute(wanted.name, "flags") or "0", 16) & 1),
        guard=attribute(wanted.name, "brport", "bpdu_guard") == "1",
        isolated=attribute(wanted.name, "brport", "isolated") == "1",
        tunnel=wanted.tunnel,
        queued=wanted.queued if wanted.kind != "tap" or in_use(wanted.name) else queued(wanted.name),
        uplink=wanted.uplink if wanted.uplink and master_of(wanted.uplink) == wanted.name else "",
        vlan=vlan_of(wanted.name) if wanted.vlan else 0,
    )


def vlan_of(name: str) -> int:
    """Return the VLAN that a tap is an access port of, -1 if it is in others or sees its tags."""
    return access_vlan(bridge("-j", "vlan", "show", "dev", name).stdout)


def access_vlan(answer: str) -> int:
    """Return the VLAN out of what bridge tells of one link, -1 if that is not an access port of one VLAN."""
    try:
        vlans = [vlan for one in json.loads(answer or "[]") for vlan in one.get("vlans", [])]
    except ValueError:
        return -1
    whole = len(vlans) == 1 and {"PVID", "Egress Untagged"} <= set(vlans[0].get("flags", []))
    return int(vlans[0]["vlan"]) if whole else -1


def ours(prefix: str = "") -> dict[str, str]:
    """Return the links that carry our mark: name -> what follows the mark; of those whose names begin so."""
    aliases = {name: attribute(name, "ifalias") for name in sorted(os.listdir(SYSFS)) if name.startswith(prefix)}
    return {name: alias[len(OURS) :] for name, alias in aliases.items() if alias.startswith(OURS)}


def refusal(wanted: Link, actual: Link | None) -> str:
    """Return why the link that stands there must not be touched, or an empty string.

    A link without mark, bridge and address is what a run leaves that is killed between making and marking it.
    """
    if actual is None or (actual.kind == wanted.kind and actual.alias == wanted.alias):
        return ""
    unused = not actual.alias and not actual.master and not actual.up
    if actual.kind == wanted.kind and unused:
        return ""
    return f"{wanted.name} is already on this host and not ours: rename or remove that {actual.kind} link"


def commands(wanted: Link, actual: Link | None) -> list[str]:
    """Return the lines of `ip -batch` that make the actual link the wanted one."""
    lines = []
    if actual is not None and actual.queued != wanted.queued:
        lines.append(f"link delete {wanted.name}")
        actual = None
    if actual is None:
        if wanted.kind == "tap":
            lines.append(f"tuntap add dev {wanted.name} mode tap{' multi_queue' if wanted.queued else ''}")
            # Or the host would greet the guest over IPv6. A kernel without IPv6 refuses this line, and needs it not.
            lines.append(f"link set dev {wanted.name} addrgenmode none")
        elif wanted.kind == "ifb":
            lines.append(f"link add name {wanted.name} type ifb")
            lines.append(f"link set dev {wanted.name} addrgenmode none")
        elif wanted.kind == "vlan":
            lines.append(f"link add {wanted.tunnel}")
        elif wanted.kind == "vxlan":
            lines.append(f"link add name {wanted.name} type vxlan {wanted.tunnel} dstport 4789 nolearning")
        else:
            options = "stp_state 0 forward_delay 0 mcast_snooping 0"
            # Only an MTU that is changed is kept; one given at the start shrinks to that of the smallest port.
            options = f"address {wanted.mac} mtu {wanted.mtu - 1} type bridge {options}"
            lines.append(f"link add name {wanted.name} {options}")
    if actual is None or actual != wanted:
        master = f" master {wanted.master}" if wanted.master else ""
        address = f" address {wanted.mac}" if wanted.mac else ""  # the kernel lets nobody give one to an ifb
        options = f"alias {wanted.alias}{address} mtu {wanted.mtu}"
        if wanted.vlan and (actual is None or actual.vlan != wanted.vlan):
            # No frame may pass before the tap is in its VLAN: it would be in that of the bridge.
            lines.append(f"link set dev {wanted.name} down")
            lines.append(f"link set dev {wanted.name} {options}{master}")
            lines += [f"{VLAN}del vid 1-4094 dev {wanted.name}"]
            lines += [f"{VLAN}add vid {wanted.vlan} pvid untagged dev {wanted.name}"]
        lines.append(f"link set dev {wanted.name} {options}{master} up")
        if wanted.uplink:
            lines.append(f"link set dev {wanted.uplink} master {wanted.name} up")
        if wanted.master:
            switches = {"guard": wanted.guard, "isolated": wanted.isolated}
            told = " ".join(f"{name} {'on' if value else 'off'}" for name, value in switches.items())
            lines.append(f"link set dev {wanted.name} type bridge_slave {told}")
        if wanted.kind == "vxlan":
            # Who is where is told, never learnt; and who is asked for is answered here, not asked everywhere.
            lines.append(f"link set dev {wanted.name} type bridge_slave learning off neigh_suppress on")
        missing = [one for one in wanted.addresses if actual is None or one not in actual.addresses]
        lines.extend(f"address replace {address} dev {wanted.name}" for address in missing)
    return lines


def iproute2(program: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ip, bridge or tc; the caller looks at what it says."""
    try:
        return subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ItemError(f"{program} is not installed on this host: install the package iproute2")


def ip(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run ip; the caller looks at what it says."""
    return iproute2("ip", *arguments, stdin=stdin)


def bridge(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run bridge; the caller looks at what it says."""
    return iproute2("bridge", *arguments)


def run(lines: list[tuple[str, str]]) -> dict[str, str]:
    """Run (link, line) pairs; return what went wrong, by link. One bad line does not stop the others.

    In one process, unless there are VLANs of taps, which another program knows: then what comes before, they, and what
    comes after.
    """
    vlans = [(link, line) for link, line in lines if line.startswith(VLAN)]
    if not vlans:
        return batch(lines, "ip")
    before: list[tuple[str, str]] = []
    after: list[tuple[str, str]] = []
    seen: set[str] = set()
    errors: dict[str, str] = {}
    for link, line in lines:
        if line.startswith(VLAN):
            seen.add(link)
        else:
            (after if link in seen else before).append((link, line))
    for some, program in ((before, "ip"), (vlans, "bridge"), (after, "ip")):
        for link, words in batch(some, program).items():
            errors.setdefault(link, words)
    return errors


def batch(lines: list[tuple[str, str]], program: str) -> dict[str, str]:
    """Run (link, line) pairs in one process of a program; return what went wrong, by link."""
    if not lines:
        return {}
    text = "".join(f"{line}\n" for _link, line in lines)
    stderr = iproute2(program, "-force", "-batch", "-", stdin=text).stderr
    errors: dict[str, str] = {}
    for words, number in re.findall(r"(.*?)\nCommand failed -:(\d+)", "\n" + stderr, flags=re.DOTALL):
        errors.setdefault(lines[int(number) - 1][0], " ".join(words.split()))
    return errors


def make(wanted: Iterable[Link], actual: dict[str, Link | None]) -> dict[str, str]:
    """Make the links what is wanted; return what went wrong, by link."""
    wanted = list(wanted)
    errors = run([(link.name, line) for link in wanted for line in commands(link, actual.get(link.name))])
    for link in wanted:
        if link.kind == "vlan" and not exists(link.name) and link.name in errors:
            errors[link.name] += ": the kernel of this host has no VLAN links (8021q)"
    return errors


def unused_group() -> int:
    """Return a link group that no link of the host is in."""
    taken = {attribute(name, "netdev_group") for name in os.listdir(SYSFS)}
    return next(group for group in range(GROUP, GROUP + len(taken) + 1) if str(group) not in taken)


def delete(names: list[str]) -> dict[str, str]:
    """Delete the links; return why one is still there, by link.

    As a group, for the kernel waits 20 ms for each link that is deleted by itself.
    """
    if not names:
        return {}
    group = unused_group()
    errors = run(
        [*((name, f"link set dev {name} group {group}") for name in names), ("", f"link delete group {group}")]
    )
    return {name: errors.get(name) or errors.get("", "it is still there") for name in names if exists(name)}


def given_another_mac(wanted: Link, actual: Link | None) -> list[tuple[str, str]]:
    """Return the line for ip that gives a link its MAC again if that is all it lacks.

    udev gives a new link a MAC of its own, and late where the host is busy: after we have given it ours.
    """
    if actual is None or actual == wanted or replace(actual, mac=wanted.mac) != wanted:
        return []
    return [(wanted.name, f"link set dev {wanted.name} address {wanted.mac}")]


def unproven(wanted: Iterable[Link], deadline: float, hopeless: Iterable[str] = ()) -> dict[str, Link | None]:
    """Wait until every link is as wanted; return those that are not after so many seconds, as they are.

    Those that ip complained of are not waited for long: what it does stands when it is done.
    """
    started = time.monotonic()
    pending = list(wanted)
    while True:
        addresses = addresses4.read() if any(link.addresses for link in pending) else {}
        actual = {link.name: read(link, addresses) for link in pending}
        pending = [link for link in pending if actual[link.name] != link]
        waits = deadline if {link.name for link in pending} - set(hopeless) else min(deadline, GRACE)
        if not pending or time.monotonic() >= started + waits:
            return {link.name: actual[link.name] for link in pending}
        if again := [line for link in pending for line in given_another_mac(link, actual[link.name])]:
            run(again)
        time.sleep(0.05)
