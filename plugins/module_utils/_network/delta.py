# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in the rules of a host when a few of its ports do, as one transaction. Pure. Private.

The kernel must have exactly the rules of the ports before. What it has afterwards is what all rules loaded again would
be, but for the order in which chains and sets are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from . import dhcp, groups
from .members import Members
from .nftext import Element, Holder
from .port import Port
from .ruleset import GUARD, elements, nat_elements, pair_chains

Ports = Mapping[str, Port]


def frame(ports: Collection[Port]) -> tuple[Any, ...]:
    """Return which of the fixed chains there are with these ports."""
    filtered = [port for port in ports if port.filtered]
    stateful = [port for port in filtered if port.stateful]
    return (
        bool(ports),
        bool(filtered),
        bool(stateful),
        any(port.zone for port in stateful),
        any(port.routed for port in ports),
        any(port.floating for port in ports),
        dhcp.chains(ports),
    )


def change(before: Ports, after: Ports, had: Mapping[str, Members], has: Mapping[str, Members], native: bool) -> str:
    """Return the lines for `nft -f`, empty where all rules must be loaded again.

    `had` and `has` are the members of the groups that rules name, before and after.
    """
    gone = [port for key, port in before.items() if not same(port, after.get(key))]
    come = [port for key, port in after.items() if not same(port, before.get(key))]
    stay = [port for key, port in after.items() if same(port, before.get(key))]
    if frame(before.values()) != frame(after.values()) or pair_chains(gone) != pair_chains(come):
        return ""
    old, new = ({one for port in ports for one in elements(port, native)} for ports in (gone, come))
    shared = kept(
        {one for port in (*gone, *come) for one in common(port, native)}, stay, lambda one: common(one, native)
    )
    old, new = old - shared, new - shared
    if any("interval" in holder[3] for holder, _element in old ^ new):
        return ""
    chains, sets = chain_changes(gone, come, stay, native), set_changes(gone, come, stay, had, has)
    return sets[0] + chains[0] + told("delete", old - new) + told("add", new - old) + chains[1] + sets[1]


def same(one: Port, other: Port | None) -> bool:
    """Say whether two ports are the same; most are even the same object, for they were read once."""
    return one is other or one == other


def told(verb: str, changed: Iterable[Element]) -> str:
    """Return the lines that add or delete elements, a line for each set or map."""
    found: dict[Holder, list[str]] = {}
    for holder, element in sorted(changed):
        found.setdefault(holder, []).append(element)
    return "".join(f"{verb} element {one[0]} {one[2]} {{ {', '.join(many)} }}\n" for one, many in found.items())


def common(port: Port, native: bool) -> list[Element]:
    """Return what the port adds to sets and maps and others may add, too."""
    return [*nat_elements(port), *groups.shared_elements(port, native)]


def kept(asked: set[Any], ports: Iterable[Port], read: Callable[[Port], Iterable[Any]]) -> set[Any]:
    """Return what of this one of the ports has: mostly the first of many has all of it."""
    missing = set(asked)
    for port in ports:
        if not missing:
            break
        missing.difference_update(read(port))
    return asked - missing


def names(port: Port) -> list[str]:
    """Return the names of the chains that the port needs."""
    ways = ("ingress", "egress") if port.filtered else ()
    return [groups.chain(port.rules, port.stateful, way)[0] for way in ways]


def chain_changes(gone: list[Port], come: list[Port], stay: list[Port], native: bool) -> tuple[str, str]:
    """Return the lines that make the chains that only the new ports need, and those that delete what nobody needs."""
    needed = {name: text for port in come for name, text in groups.chains(port, native).items()}
    old = {name for port in gone for name in names(port)}
    rest = kept(old ^ set(needed), stay, names)
    made = [needed[name] for name in sorted(set(needed) - rest - old)]
    unneeded = sorted(old - rest - set(needed))
    return table(made), "".join(f"delete chain bridge {GUARD} {name}\n" for name in unneeded)


def table(bodies: list[str]) -> str:
    """Return the lines that add this to our table."""
    return f"table bridge {GUARD} {{\n{''.join(bodies)}}}\n" if bodies else ""


def set_changes(gone: list[Port], come: list[Port], stay: list[Port], had: Any, has: Any) -> tuple[str, str]:
    """Return the lines that make and fill the sets of groups, and those that delete the sets that nobody names."""
    rest = groups.named(groups.filtered(stay))
    old, new = groups.named(groups.filtered(gone)) | rest, groups.named(groups.filtered(come)) | rest
    fresh = [groups.group_set(key, version, has) for key in sorted(new - old) for version in (4, 6)]
    lines = []
    for key, version in ((key, version) for key in sorted(new & old) for version in (4, 6)):
        before, after = (known.get(key, Members()).of_version(version) for known in (had, has))
        if sorted(before) != sorted(after):
            name = f"bridge {GUARD} {groups.set_name(key, version)}"
            lines.append(f"flush set {name}\n")
            lines.append(f"add element {name} {{ {', '.join(sorted(set(after)))} }}\n" if after else "")
    dropped = [groups.set_name(key, version) for key in sorted(old - new) for version in (4, 6)]
    return table(fresh) + "".join(lines), "".join(f"delete set bridge {GUARD} {name}\n" for name in dropped)
