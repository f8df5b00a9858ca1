# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a guest may send and receive: token buckets on its tap and on an ifb that its frames are led over. Private.

What the host sends into a tap goes through the queue of the tap. What comes out of it has no queue, so it is led over a
link of kind ifb, which has one, and comes back into the tap's way in, before the rules of nftables see it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from . import links
from .links import OURS, Link
from .port import Port

# By link (kilobits a second, bytes at once); None for a link that is there without limiting anything.
Limits = dict[str, "tuple[int, int] | None"]
REDIRECT = re.compile(r"Egress Redirect to device (\S+)\)")
LATENCY = "50ms"  # how long a frame may wait for its turn


def ifb_name(port: Port) -> str:
    """Return the name of the link that what a guest sends is led over."""
    return links.IFB + port.tap[len("tap") :]


def ifb(port: Port) -> Link:
    """Return that link; it carries the mark of the port, so that it goes with its tap."""
    return Link(name=ifb_name(port), kind="ifb", alias=OURS + port.id, mac="", mtu=port.mtu)


def bucket(port: Port, rate: int, burst: int) -> tuple[int, int]:
    """Return a limit as tc has it: at least two frames must fit, and what passes between two ticks of the clock."""
    return rate, max(burst * 125, 2 * (port.mtu + 18), rate // 2)


def wanted(port: Port) -> Limits:
    """Return what limits the port."""
    found: Limits = {}
    if port.ingress:
        found[port.tap] = bucket(port, *port.ingress)
    if port.egress:
        found[ifb_name(port)] = bucket(port, *port.egress)
    return found


def tc(batch: Iterable[str]) -> str:
    """Run lines of tc, each even if one before failed; return what it complains of."""
    return " ".join(links.iproute2("tc", "-force", "-batch", "-", stdin="\n".join(batch)).stderr.split())


def actual(ports: Iterable[Port]) -> Limits:
    """Return what limits the ports now."""
    ports = [port for port in ports if links.exists(port.tap)]
    if not ports:
        return {}
    buckets, ways = {}, set()
    for one in json.loads(links.iproute2("tc", "-j", "qdisc", "show").stdout or "[]"):
        if one["kind"] == "tbf" and one.get("root"):
            buckets[one["dev"]] = (one["options"]["rate"] // 125, one["options"]["burst"])
        elif one["kind"] == "ingress":
            ways.add(one["dev"])
    found: Limits = {}
    led_over = ways_over(port.tap for port in ports if port.tap in ways)
    for port in ports:
        name, want = ifb_name(port), wanted(port)
        if port.tap in buckets:
            found[port.tap] = close(buckets[port.tap], want.get(port.tap))
        if links.exists(name) or port.tap in ways:
            good = name in buckets and name in led_over
            found[name] = close(buckets[name], want.get(name)) if good else None
    return found


def ways_over(taps: Iterable[str]) -> set[str]:
    """Return the links that what comes out of these taps is led over."""
    batch = "".join(f"filter show dev {tap} ingress\n" for tap in taps)
    return set(REDIRECT.findall(links.iproute2("tc", "-force", "-batch", "-", stdin=batch).stdout)) if batch else set()


def close(have: tuple[int, int], want: tuple[int, int] | None) -> tuple[int, int]:
    """Return the wanted limit if the kernel has it but for what it rounds."""
    return want if want and have[0] == want[0] and abs(have[1] - want[1]) <= 2 + want[1] // 500 else have


def concerned(ports: Iterable[Port], saved: dict[str, Port]) -> list[Port]:
    """Return the ports that have or had limits."""
    both = [(port, saved.get(port.id, port)) for port in ports]
    return [port for port, old in both if limited(port) or limited(old) or links.exists(ifb_name(port))]


def limited(port: Port) -> bool:
    """Say whether the port has limits."""
    return bool(port.egress or port.ingress)


def lift(ports: list[Port]) -> None:
    """Limits that the ports shall not have are gone: before the ports are saved, so that a killed run tries again."""
    have = actual(ports)
    for port in ports if have else ():
        unwanted = set(have) - set(wanted(port))
        batch = [f"qdisc del dev {port.tap} root"] if port.tap in unwanted else []
        if ifb_name(port) in unwanted:
            batch.append(f"qdisc del dev {port.tap} ingress")
        tc(batch)
        if ifb_name(port) in unwanted and links.exists(ifb_name(port)):
            links.delete([ifb_name(port)])


def limit(ports: list[Port]) -> dict[str, str]:
    """The ports have their limits; return why one has not, by link."""
    have, errors = actual(ports), {}
    for port in ports:
        want = wanted(port)
        if {name: have[name] for name in want if name in have} == want:
            continue
        complaint = tc(lines(port, want, have))
        errors.update(
            {name: complaint or "it has other limits" for name in want if actual([port]).get(name) != want[name]}
        )
    return errors


def lines(port: Port, want: Limits, have: Limits) -> list[str]:
    """Return the lines of tc that make the limits those wanted; one that is there is changed in place."""
    batch = [
        f"qdisc replace dev {name} root tbf rate {rate}kbit burst {burst}b latency {LATENCY}"
        for name, (rate, burst) in ((name, one) for name, one in want.items() if one and have.get(name) != one)
    ]
    name = ifb_name(port)
    if name in want and not have.get(name):
        batch += [f"qdisc del dev {port.tap} ingress"] if name in have else []
        batch.append(f"qdisc add dev {port.tap} ingress")
        led = f"action mirred egress redirect dev {name}"
        batch.append(f"filter add dev {port.tap} parent ffff: protocol all prio 1 u32 match u32 0 0 {led}")
    return batch


def words(found: Limits) -> dict[str, Any]:
    """Return limits for a diff."""
    return {name: f"{one[0]} kbit/s, {one[1]} bytes at once" if one else "none" for name, one in sorted(found.items())}
