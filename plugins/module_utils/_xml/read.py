# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From libvirt's documents to values: what a domain is, was defined from and remembers. Private to this collection."""

from __future__ import annotations

from typing import Any

from .._model.domain import Domain, Shape
from .._model.instance import Instance
from .devices import config_drive, disks
from .metadata import remembered
from .size import memory_mb, vcpus
from .tree import parse


def of(node: Any, tag: str, attribute: str) -> str:
    """Return an attribute of a child, empty if there is no such child."""
    child = node.find(tag)
    return child.get(attribute, "") if child is not None else ""


def found_shape(root: Any) -> Shape:
    """Return the shape of a domain."""
    disks = root.iterfind("devices/disk/source")
    sources = tuple(one.get("file") or one.get("dev") or one.get("name") or "" for one in disks)
    cards = tuple((of(one, "mac", "address"), of(one, "target", "dev")) for one in root.iterfind("devices/interface"))
    return Shape(vcpus(root), memory_mb(root), sources, cards)


def wanted_shape(instance: Instance, state_dir: str) -> Shape:
    """Return the shape that the domain of an instance has when it is defined by us."""
    drive = config_drive(instance, state_dir)
    files = [path for path, _kind in disks(instance, state_dir)] + ([drive] if drive else [])
    cards = tuple((port.mac, port.tap) for port in instance.ports)
    return Shape(instance.flavor.vcpus, instance.flavor.memory_mb, tuple(files), cards)


def _vnc_port(root: Any) -> int | None:
    """Return the port VNC listens on, if it does."""
    node = root.find("devices/graphics[@type='vnc']")
    port = int(node.get("port", "-1")) if node is not None else -1
    return port if port > 0 else None


def agent_connected(text: str) -> bool:
    """Say whether the guest has opened the channel of its agent."""
    path = "devices/channel/target[@name='org.qemu.guest_agent.0'][@state='connected']"
    return parse(text).find(path) is not None


def domain(live: str, defined: str, power_state: str) -> Domain:
    """Return the domain of its two documents: as it runs, and as it will start the next time."""
    now, later = parse(live), parse(defined)
    number = now.get("id")
    return Domain(
        name=later.findtext("name"),
        uuid=later.findtext("uuid"),
        power_state=power_state,
        shape=found_shape(later),
        instance=remembered(later),
        running=remembered(now) if number else None,
        machine=now.find("os/type").get("machine", ""),
        domain_id=int(number) if number else None,
        vnc_port=_vnc_port(now) if number else None,
        has_nvram=later.find("os/nvram") is not None,
    )
