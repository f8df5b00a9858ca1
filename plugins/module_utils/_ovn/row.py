# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What shall be in OVN's northbound database: rows with names of their own, pure values. Private."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The keys of external_ids that every row of ours has.
KEY, OWNER = "virtfleet", "virtfleet-owner"


@dataclass(frozen=True)
class Row:
    """One row.

    `key` is its name among all of ours and `owner` whose it is: a row of an owner that is told of and that is not
    wanted any more goes. `columns` are compared and set; of what is not among them nothing is said. `parent` is the
    column of another row that it hangs in ("Logical_Switch", key, "ports"), nothing for a table of roots. `refers` are
    columns with the key of another row.
    """

    table: str
    key: str
    owner: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    parent: tuple[str, str, str] | None = None
    refers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> dict[str, str]:
        """Return its external_ids."""
        return {**self.about, KEY: self.key, OWNER: self.owner}


def short(text: str) -> str:
    """Return a name that OVN takes wherever names are: any text has one, and no two have the same."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def switch_of(network: str) -> str:
    """Return the logical switch of a network."""
    return f"vf_{short(network)}"


def router_of(name: str) -> str:
    """Return the logical router of a router."""
    return f"vfr_{short(name)}"


def group_of(project: str, group: str) -> str:
    """Return the port group of a security group."""
    return f"vfg_{short(f'{project}/{group}')}"
