# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a guest, as it starts with them and as they come and go while it runs. Private to this collection."""

from __future__ import annotations

from typing import Any

from .._model import naming
from .._model.errors import ItemError
from .._model.instance import Instance
from .._model.volume import SERVED, Volume, host_and_port
from .tree import add, etree, need_lxml, parse, serialize

TARGETS = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MAX_DISKS = len(LETTERS)
NETWORK = ("rbd", *SERVED)  # the backends that QEMU itself speaks to
LOCAL = {"lvm": "block"}  # what is no file on the host, and libvirt's word for it
PORTS = {"nbd": 10809, "iscsi": 3260}
QOS = tuple(f"{kind}_{unit}_sec" for unit in ("bytes", "iops") for kind in ("total", "read", "write"))


def add_disk(parent: Any, volume: Volume, path: str, kind: str, **how: Any) -> Any:
    """Write one disk; `how` says bus, target and owner, and where the volume says nothing cache and limits (qos)."""
    bus, network = how["bus"], volume.backend in NETWORK
    device = volume.device_type or "disk"
    disk = add(parent, "disk", type_="network" if network else LOCAL.get(volume.backend, "file"), device=device)
    cache = volume.cache or ("writeback" if volume.backend == "rbd" else "none" if network else how["cache"])
    thread = 1 if bus == "virtio" else None
    add(disk, "driver", name="qemu", type_=kind, cache=cache, discard=volume.discard or "unmap", iothread=thread)
    source = _add_source(disk, volume, path, how["owner"])
    if volume.encryption:
        key = naming.volume_secret_id(how["owner"], volume.name)
        add(add(source, "encryption", format=volume.encryption), "secret", type_="passphrase", uuid=key)
    add(disk, "target", dev=how["target"], bus=bus)
    _add_iotune(disk, volume.qos or ({} if volume.id else how["qos"]))
    if device == "cdrom":
        add(disk, "readonly")
    if volume.id:
        add(disk, "serial", volume.id)
    return disk


def _add_source(disk: Any, volume: Volume, path: str, owner: str) -> Any:
    """Write where the disk is."""
    if volume.backend in SERVED:
        return _add_served_source(disk, volume, path, owner)
    if volume.backend in NETWORK:
        return _add_cluster_source(disk, volume, path)
    return add(disk, "source", **{"dev" if volume.backend in LOCAL else "file": path})


def _add_served_source(disk: Any, volume: Volume, path: str, owner: str) -> Any:
    """Write which server has the disk, what it calls it, and which secret of libvirt opens it."""
    user = volume.pool.get("chap_user")
    if user:
        auth = add(disk, "auth", username=user)
        add(auth, "secret", type_="iscsi", uuid=naming.volume_secret_id(owner, volume.name))
    source = add(disk, "source", protocol=volume.backend, name=path)
    host, port = host_and_port(volume.pool["server"], PORTS[volume.backend])
    add(source, "host", name=host, port=port)
    return source


def _add_cluster_source(disk: Any, volume: Volume, path: str) -> Any:
    """Write where the cluster keeps the disk and which secret of libvirt opens it."""
    user, conf = volume.pool.get("user") or "libvirt", volume.pool.get("conf") or "/etc/ceph/ceph.conf"
    auth = add(disk, "auth", username=user)
    add(auth, "secret", type_="ceph", uuid=naming.ceph_secret_id(conf, user))
    source = add(disk, "source", protocol=volume.backend, name=path)
    for name, port in volume.hosts:
        add(source, "host", name=name, port=port)
    add(source, "config", file=conf)
    return source


def _add_iotune(disk: Any, qos: dict[str, Any]) -> None:
    """Write how much the disk may do; a total forbids its parts, as libvirt and Nova have it."""
    if qos:
        tune = add(disk, "iotune")
        for key in QOS:
            if key in qos:
                add(tune, key, int(qos[key]))


def flavor_qos(instance: Instance) -> dict[str, int]:
    """Return what the disks of the flavor may do, from Nova's quota:disk_* extra specs."""
    found = {}
    for key in QOS:
        value = instance.flavor.extra_specs.get(f"quota:disk_{key}")
        if value is not None:
            try:
                found[key] = int(value)
            except ValueError:
                told = f"flavor {instance.flavor.name} has quota:disk_{key}='{value}': it must be a whole number"
                raise ItemError(told, fault="request")
    return found


def target(bus: str, used: set[str], last: bool = False) -> str:
    """Return a free device name on a bus, the first or the last one, and count it as used."""
    names = [TARGETS[bus] + letter for letter in LETTERS]
    free = [name for name in names if name not in used]
    if not free:
        raise ItemError(f"a guest has at most {MAX_DISKS} disks on bus {bus}", fault="request")
    found = free[-1 if last else 0]
    used.add(found)
    return found


def attachment(volume: Volume, live: str, bus: str, cache: str) -> str:
    """Return the document of a disk that a running guest is to get, on a free name of its bus."""
    need_lxml()
    root = parse(live)
    used = {one.get("dev") for one in root.iterfind("devices/disk/target")}
    how = {"bus": bus, "target": target(bus, used), "owner": root.findtext("uuid"), "cache": cache, "qos": {}}
    return serialize(add_disk(etree.Element("devices"), volume, volume.path, volume.format, **how))


def attached(live: str, volume_id: str) -> Any:
    """Return the disk of a running guest that is this volume, or None."""
    return next((one for one in parse(live).iterfind("devices/disk") if one.findtext("serial") == volume_id), None)
