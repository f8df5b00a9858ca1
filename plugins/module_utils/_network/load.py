# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the rules of a host: what differs where the kernel provably has those of before, else all. Private."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from .._model.errors import ItemError
from . import delta, members, nft
from .host import Host, World, key_of, native_of, rules_of
from .members import Members
from .port import Port


def rules(
    host: Host, world: World, ports: Mapping[str, Port], files: Mapping[str, bytes], groups: Mapping[str, Members]
) -> None:
    """The kernel has the rules of these ports, saved as these files, and members of groups."""
    native = native_of(ports.values())
    key = key_of(files, groups, native)
    had = members.of_ports(world.saved.values(), world.members)
    lines = delta.change(world.saved, ports, had, groups, native) if world.rules > 0 else ""
    if lines:
        # Somebody may have changed our tables since they were looked at: then all is loaded again.
        with contextlib.suppress(ItemError):
            return nft.load(lines, host.run_dir, key, world.rules)
    return nft.load(rules_of(ports.values(), groups), host.run_dir, key)
