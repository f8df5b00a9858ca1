# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt keeps of instances, for the audit and the sweep. Private to this collection."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._model.errors import ItemError
from .._model.trace import Place, Trace
from .._xml.metadata import OURS, remembered
from .._xml.tree import parse
from .connection import failing_to, is_gone, libvirt, listed
from .domains import undefine

# Where the system's libvirtd keeps the definitions of secrets, whose dates tell their age.
SECRETS = "/etc/libvirt/secrets"
# What tells a pool or group of each backend from all others.
STORES: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "rbd": lambda pool: (pool.get("conf") or "/etc/ceph/ceph.conf", str(pool.get("pool"))),
    "lvm": lambda pool: ("", str(pool.get("volume_group"))),
}


def place(
    connection: Any,
    state_dir: str,
    run_dir: str,
    stores: Iterable[Mapping[str, Any]] = (),
    known: Iterable[str] = (),
    copies: tuple[str, str] = ("", ""),
) -> Place:
    """Return the host with all its domains; one that goes away meanwhile is left out.

    `copies` are the directories of snapshots and of backups. What is to be looked into are those of the stores that
    are to be looked at from here, and those that disks of its domains are in and nobody named.
    """
    defined, live = {}, {}
    for domain in listed(connection):
        uuid = domain.UUIDString()
        with failing_to(f"read domain {domain.name()}"):
            try:
                defined[uuid] = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
                if domain.isActive():
                    live[uuid] = domain.XMLDesc(0)
            except libvirt.libvirtError as error:
                if not is_gone(error):
                    raise
    looked = into(stores, defined.values())
    return Place(state_dir, run_dir, defined, live, connection, looked, frozenset(known), *copies)


def into(stores: Iterable[Mapping[str, Any]], documents: Iterable[str]) -> tuple[Mapping[str, Any], ...]:
    """Return the pools and groups to look into."""
    named = {store_of(one["backend"], one): one for one in stores}
    records = [remembered(parse(text)) for text in documents if OURS in text and any(word in text for word in STORES)]
    used = {
        store_of(one.backend, one.pool): {"backend": one.backend, **one.pool}
        for record in records
        if record
        for one in record.volumes
        if one.backend in STORES
    }
    return tuple(one for _key, one in sorted({**used, **named}.items()) if one.get("look", True))


def store_of(backend: str, pool: Mapping[str, Any]) -> tuple[str, str]:
    """Return what tells one pool or group from all others."""
    return STORES[backend](pool)


def find_records(place: Place) -> list[Trace]:
    """Return the domains that carry our record in a shape that cannot be read; nobody counts them as ours."""
    found = []
    for uuid, text in place.domains.items():
        root = parse(text) if OURS in text else None
        if root is None or root.find(f"metadata/{{{OURS}}}instance") is None or remembered(root):
            continue
        name = root.findtext("name")
        evidence = f"domain {name} ({uuid}) carries our record and it cannot be read: nobody counts it as ours"
        remedy = f"virsh edit {uuid}: put the record back, or take the element of {OURS} out of its metadata"
        found.append(Trace("record", name, evidence, remedy, removable=False))
    return found


def ours(place: Place) -> dict[str, str]:
    """Return the names of the instances that have a domain here, by uuid."""
    known = {uuid: remembered(parse(text)) for uuid, text in place.domains.items() if OURS in text}
    return {uuid: one.name for uuid, one in known.items() if one}


def find_domains(place: Place) -> list[Trace]:
    """Return nothing: the host's record lists its domains, and only the registry tells which of them is stray."""
    return []


def remove_domain(place: Place, trace: Trace) -> None:
    """The domain is undefined, if it is ours and off; a guest that runs is never touched."""
    text = place.domains.get(trace.owner)
    if text is None:
        return
    root = parse(text)
    instance = remembered(root)
    if instance is None or instance.uuid != trace.owner:
        raise ItemError(f"domain {root.findtext('name')} is not ours: nothing was removed")
    with failing_to(f"find domain {instance.domain}"):
        domain = place.connection.lookupByUUIDString(trace.owner)
        if domain.isActive():
            raise ItemError(f"domain {instance.domain} runs: a sweep never touches a guest that runs")
    undefine(domain, root.find("os/nvram") is not None)


def find_secrets(place: Place) -> list[Trace]:
    """Return the secrets that were made for a disk of an instance."""
    folder = os.path.join(place.state_dir, "instances") + os.sep
    found = []
    with failing_to("list the secrets"):
        for secret in place.connection.listAllSecrets(0):
            usage, uuid = secret.usageID(), secret.UUIDString()
            owner = owner_of(usage, folder)
            if owner:
                evidence = f"libvirt keeps a secret for {usage}"
                age = age_of(os.path.join(SECRETS, f"{uuid}.xml"))
                remedy = f"virsh secret-undefine {uuid}"
                found.append(Trace("secret", uuid, evidence, remedy, owner=owner, age=age, old=age))
    return found


def owner_of(usage: str, folder: str) -> str:
    """Return the uuid of the instance that a secret is for: by the path of its disk, or "virtfleet:UUID" before all."""
    if usage.startswith(folder):
        return usage[len(folder) :].partition(os.sep)[0]
    marked = usage.split(":")
    return marked[1].partition("/")[0] if len(marked) > 1 and marked[0] == "virtfleet" else ""


def age_of(path: str) -> int | None:
    """Return how many seconds ago the file was written."""
    try:
        return max(0, int(time.time() - os.stat(path).st_mtime))
    except OSError:
        return None


def remove_secret(place: Place, trace: Trace) -> None:
    """The secret is gone."""
    with failing_to(f"undefine secret {trace.name}"):
        place.connection.secretLookupByUUIDString(trace.name).undefine()
