# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a domain remembers: Nova's own description, for tools that read it, and our record. Private to this collection.

The shape of nova:instance is that of Nova 34 (nova/virt/libvirt/config.py, LibvirtConfigGuestMetaNovaInstance), so
Ceilometer and the Prometheus exporters for libvirt read our guests unchanged.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from .._model.errors import ItemError
from .._model.instance import Instance
from .tree import OURS, add, etree, local, need_lxml

NOVA = "http://openstack.org/xmlns/libvirt/nova/1.1"
PACKAGE = {"name": "virtfleet.compute", "version": "1"}  # the version of this shape, not of the collection


def _named(noun: str, name: str) -> str:
    """Return the uuid that stands for a name where Nova has an id of its own."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"virtfleet:{noun}:{name}"))


def _qualified(name: str) -> str:
    """Return a tag in Nova's namespace."""
    return f"{{{NOVA}}}{name}"


def _add_flavor(parent: Any, instance: Instance) -> None:
    """Write nova:flavor with its sizes and extra specs."""
    flavor = instance.flavor
    node = add(parent, _qualified("flavor"), name=flavor.name, id=_named("flavor", flavor.name))
    add(node, _qualified("memory"), flavor.memory_mb)
    add(node, _qualified("disk"), flavor.disk_gb)
    add(node, _qualified("swap"), flavor.swap_mb)
    add(node, _qualified("ephemeral"), flavor.ephemeral_gb)
    add(node, _qualified("vcpus"), flavor.vcpus)
    specs = add(node, _qualified("extraSpecs"))
    for key, value in sorted(flavor.extra_specs.items()):
        add(specs, _qualified("extraSpec"), value, name=key)


def _add_image(parent: Any, instance: Instance) -> None:
    """Write nova:image with what the catalogue says of it."""
    image = instance.image
    node = add(parent, _qualified("image"), uuid=_named("image", image.name))
    add(node, _qualified("containerFormat"), "bare")
    add(node, _qualified("diskFormat"), image.disk_format)
    add(node, _qualified("minDisk"), image.min_disk_gb)
    add(node, _qualified("minRam"), image.min_ram_mb)
    properties = add(node, _qualified("properties"))
    for key, value in sorted(image.properties.items()):
        add(properties, _qualified("property"), value, name=key)


def _add_ports(parent: Any, instance: Instance) -> None:
    """Write nova:ports with the addresses of each."""
    ports = add(parent, _qualified("ports"))
    for port in instance.ports:
        node = add(ports, _qualified("port"), uuid=port.id)
        for one in port.addresses:
            version = "6" if ":" in one.address else "4"
            add(node, _qualified("ip"), type_="fixed", address=one.address, ipVersion=version)


def nova_element(instance: Instance) -> Any:
    """Return nova:instance, version 1.1."""
    need_lxml()
    root = etree.Element(_qualified("instance"), nsmap={"nova": NOVA})
    add(root, _qualified("package"), name=PACKAGE["name"], version=PACKAGE["version"])
    add(root, _qualified("name"), instance.name)
    add(root, _qualified("creationTime"), instance.created_at)
    _add_flavor(root, instance)
    _add_image(root, instance)
    owner = add(root, _qualified("owner"))
    add(owner, _qualified("user"), "virtfleet", uuid=_named("user", "virtfleet"))
    add(owner, _qualified("project"), instance.project, uuid=_named("project", instance.project))
    add(root, _qualified("root"), type_="image", uuid=_named("image", instance.image.name))
    _add_ports(root, instance)
    return root


def our_element(instance: Instance) -> Any:
    """Return the element that holds our record as JSON, in ASCII: what XML forbids is escaped there."""
    need_lxml()
    root = etree.Element(f"{{{OURS}}}instance", nsmap={"virtfleet": OURS})
    root.text = json.dumps(instance.as_record(), sort_keys=True, separators=(",", ":"))
    return root


def bare(element: Any) -> str:
    """Return an element as libvirt's setMetadata takes it: without a namespace, for libvirt adds that itself."""
    for node in element.iter():
        node.tag = local(node.tag)
    etree.cleanup_namespaces(element)
    return etree.tostring(element, encoding="unicode")


def remembered(root: Any) -> Instance | None:
    """Return the instance that a parsed domain remembers; None when the domain is not ours or its record is broken."""
    record = root.findtext(f"metadata/{{{OURS}}}instance")
    if not record:
        return None
    try:
        return Instance.from_record(json.loads(record))
    except (ValueError, ItemError):
        return None
