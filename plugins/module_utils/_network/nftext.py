# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of nftables text. Private."""

from __future__ import annotations

from collections.abc import Iterable

# What is in a set or a map: ((table, kind, name, header), element).
Holder = tuple[str, str, str, str]
Element = tuple[Holder, str]


def holder(kind: str, name: str, header: str, elements: Iterable[str]) -> str:
    """Return a set or a map; nft takes no empty list of elements."""
    lines = ",\n            ".join(sorted(set(elements)))
    body = f"        elements = {{\n            {lines}\n        }}\n" if lines else ""
    return f"    {kind} {name} {{\n        {header}\n{body}    }}\n"


def chain(name: str, rules: Iterable[str]) -> str:
    """Return a chain that others jump to."""
    return f"    chain {name} {{\n" + "".join(f"        {rule}\n" for rule in rules) + "    }\n"


def fresh(table: str, body: str) -> str:
    """Return the lines that leave the table with this body, or without one gone, whatever stood before."""
    again = f"table {table} {{\n{body}}}\n" if body else ""
    return f"add table {table}\ndelete table {table}\n{again}"


def held(holders: Iterable[Holder], elements: Iterable[Element]) -> str:
    """Return the sets and maps with those of the elements that are in them."""
    inside: dict[Holder, list[str]] = {one: [] for one in holders}
    for one, element in elements:
        if one in inside:
            inside[one].append(element)
    return "".join(
        holder(kind, name, header, inside[table, kind, name, header]) for table, kind, name, header in inside
    )
