# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of an instance, in Nova's order: root, ephemeral, swap, then block devices. Private to this collection.

The rules are those of Nova's block_device_mapping_v2; what it calls uuid is a name here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...module_utils._model import naming, schema, volume_keys
from ...module_utils._model.schemas.volume import BLOCK_DEVICE
from ...module_utils._model.volume import EVERYWHERE, SERVED
from . import catalogue
from .problems import Path, Problem, listed, quoted

Entry = dict[str, Any]
Disk = dict[str, Any]

# What Nova puts on an ephemeral disk, by the image's os_type; where none is said, the guest is taken for a Linux.
FILE_SYSTEMS = {"windows": "vfat"}
# What a volume is kept in where nothing is said.
PLAIN_TYPE = {"backend": "qcow2"}
# Of a volume type what the backend needs to find its volumes.
POOL_KEYS = {
    "qcow2": ("directory", "shared"),
    "raw": ("directory", "shared"),
    "rbd": ("pool", "user", "conf"),
    "lvm": ("volume_group", "thin_pool"),
    "nbd": ("server", "location"),
    "iscsi": ("server", "target", "location", "chap_user"),
}
TYPE_KEYS = ("cache", "discard", "qos", "encryption")
# A snapshot is an image of the catalogue too: playbooks/snapshot.yml keeps it there.
FROM_IMAGE = ("image", "snapshot")
IMAGE_KEYS = ("url", "checksum", "disk_format", "host")  # what stage image needs
NEW = ("blank", *FROM_IMAGE)
DEVICE_KEYS = ("delete_on_termination", "tag", "disk_bus", "device_type")


def found_disks(one: Entry, parts: dict[str, Any], path: Path, world: Any, problems: list[Problem]) -> list[Disk]:
    """Return the disks of an entry, the catalogue's volumes among them; what is wrong is added to the problems."""
    devices = [schema.defaults(BLOCK_DEVICE) | device for device in one["block_devices"]]
    kind = found_type(one.get("volume_type"), (*path, "volume_type"), world, problems)
    found = [
        problem
        for index, device in enumerate(devices)
        for problem in device_problems(device, one, (*path, "block_devices", index))
    ]
    found += [*order_problems(devices, one, path), *local_problems(devices, parts["flavor"], path)]
    found += not_made_problems(kind, (*path, "volume_type"))
    problems += found
    if found or kind is None or not parts["flavor"]:
        return []
    disks = local_disks(parts["flavor"], parts["image"] or {"properties": {}}, kind or one["volume_backend"], devices)
    if any(device["boot_index"] == 0 and device["destination_type"] == "volume" for device in devices):
        disks = disks[1:]
    for index, device in enumerate(devices):
        if device["destination_type"] == "volume":
            made = volume_disk(one, device, index, (*path, "block_devices", index), world, problems)
            disks += [made] if made else []
    problems += key_problems(disks, path, world)
    return disks


def found_type(name: str | None, path: Path, world: Any, problems: list[Problem]) -> Any:
    """Return the volume type of that name, an empty one where none is named; None if it cannot be used."""
    if name is None:
        return {}
    kind = world.find(path, name, "virtfleet_volume_types", problems)
    return kind and {**kind, "name": name}


def device_problems(device: Entry, one: Entry, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with one block device by itself."""
    source, target = device["source_type"], device["destination_type"]
    if source == "blank" and "source" in device:
        yield Problem((*path, "source"), "does not go with source_type blank: leave it out")
    elif source != "blank" and "source" not in device:
        yield Problem(path, f"has no 'source': it must name the {source}")
    if target == "local" and source != "blank" and not (source in FROM_IMAGE and device["boot_index"] == 0):
        yield Problem((*path, "destination_type"), f"is 'local', which does not go with source_type {source}")
    if source in NEW and target == "volume" and "volume_size" not in device:
        yield Problem(path, "has no 'volume_size': a new volume needs a size")
    if source == "blank" and target == "local" and "volume_size" not in device:
        yield Problem(path, "has no 'volume_size': a part of the flavor's ephemeral_gb")
    if "volume_type" in device and (target == "local" or source == "volume"):
        yield Problem((*path, "volume_type"), "goes only with a new volume: leave it out")
    if source == "volume" and one["count"] > 1:
        yield Problem((*path, "source"), f"does not go with count {one['count']}: a volume is attached to one instance")


def not_made_problems(kind: Entry | None, path: Path) -> Iterator[Problem]:
    """Yield that disks of a volume type cannot be made, because a storage server has them."""
    if kind and kind["backend"] in SERVED:
        says = f"is {quoted(kind['name'])}, of backend {kind['backend']}, whose disks a storage server makes"
        yield Problem(path, f"{says}: name one in virtfleet_volumes by its location")


def served_problems(volume: Entry, kind: Entry, path: Path) -> Iterator[Problem]:
    """Yield what does not go together in a volume that a storage server has, or in one that none has."""
    backend = (kind or PLAIN_TYPE)["backend"]
    if backend in SERVED and not volume.get("location"):
        yield Problem(path, f"has no 'location': backend {backend} needs what its server calls the disk")
    if backend not in SERVED and volume.get("location"):
        yield Problem((*path, "location"), f"does not go with backend {backend}: leave it out")
    if backend in SERVED and volume.get("image"):
        yield Problem((*path, "image"), f"does not go with backend {backend}: nothing is written to such a disk")


def order_problems(devices: list[Entry], one: Entry, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with what the guest boots from: the boot indexes are 0, 1, 2 ... without a gap."""
    given = sorted(index for device in devices if (index := device["boot_index"]) is not None and index >= 0)
    implied = [] if 0 in given else [0]
    place = (*path, "block_devices")
    if "image" not in one and implied:
        yield Problem(
            path, "has neither 'image' nor a block device with boot_index 0: the guest needs one to boot from"
        )
    if [*implied, *given] != list(range(len(given) + len(implied))):
        yield Problem(place, f"has the boot_index {listed(map(str, given))}: they must be 0, 1, 2 ... each once")
    for index, device in enumerate(devices):
        if device["boot_index"] == 0 and "image" in one and device.get("source") != one["image"]:
            says = "is 0, and the instance has an image too: leave one of them out"
            yield Problem((*place, index, "boot_index"), says)
    names = [device["source"] for device in devices if device["source_type"] == "volume" and "source" in device]
    for again in dict.fromkeys(name for index, name in enumerate(names) if name in names[:index]):
        yield Problem(place, f"has the volume {quoted(again)} twice: once is enough")


def local_problems(devices: list[Entry], flavor: dict[str, Any] | None, path: Path) -> Iterator[Problem]:
    """Yield that the blank local disks are larger than the flavor's ephemeral_gb, as Nova refuses it."""
    asked = sum(device.get("volume_size", 0) for device in devices if is_ephemeral(device))
    if flavor and asked > flavor["ephemeral_gb"]:
        says = f"has local disks of {asked} GiB, and the flavor's ephemeral_gb is {flavor['ephemeral_gb']}"
        yield Problem((*path, "block_devices"), f"{says}: take a larger flavor or volumes")


def is_ephemeral(device: Entry) -> bool:
    """Say whether the device is a share of the flavor's ephemeral_gb."""
    return device["source_type"] == "blank" and device["destination_type"] == "local"


def local_disks(flavor: Entry, image: Entry, kind: Any, devices: list[Entry]) -> list[Disk]:
    """Return the disks that the flavor gives an instance and that go with it; `kind` is a backend or a volume type."""
    kept = {"backend": kind} if isinstance(kind, str) else kept_in(kind)
    found = [{"name": "root", **kept, "size_gb": flavor["disk_gb"], "boot_index": 0}]
    usual = FILE_SYSTEMS.get(str(image["properties"].get("os_type")), "ext4")
    shares = [device for device in devices if is_ephemeral(device)]
    if not shares and flavor["ephemeral_gb"]:
        shares = [{"volume_size": flavor["ephemeral_gb"]}]
    for index, share in enumerate(shares):
        holds = share.get("guest_format") or usual
        tag = {"tag": share["tag"]} if share.get("tag") else {}
        found.append(blank(f"ephemeral{index}", kept, holds, size_gb=share["volume_size"], **tag))
    if flavor["swap_mb"]:
        found.append(blank("swap", kept, "swap", size_gb=0, size_mb=flavor["swap_mb"]))
    return found


def blank(name: str, kept: Entry, guest_format: str, **more: Any) -> Disk:
    """Return a disk that no image fills."""
    return {"name": name, **kept, **more, "boot_index": None, "guest_format": guest_format}


def kept_in(kind: Entry) -> Entry:
    """Return what a disk takes from its volume type: the backend, where that keeps it, and how it is attached."""
    whole = schema.defaults(schema.VOLUME_TYPE) | kind
    pool = {key: whole[key] for key in POOL_KEYS[whole["backend"]] if whole.get(key)}
    return {
        "backend": whole["backend"],
        **({"pool": pool} if pool else {}),
        **{key: whole[key] for key in TYPE_KEYS if whole.get(key)},
        **({"key": whole["name"]} if whole.get("encryption") or whole.get("chap_user") else {}),
    }


def key_problems(disks: list[Disk], path: Path, world: Any) -> Iterator[Problem]:
    """Yield every encrypted disk that no passphrase opens."""
    for disk in disks:
        known = volume_keys.names(disk)
        if volume_keys.is_locked(disk) and not set(known) & world.names["virtfleet_volume_keys"]:
            locked = "encrypted volume" if disk.get("encryption") else "volume with a chap_user"
            says = f"has the {locked} {quoted(disk['name'])}, and virtfleet_volume_keys has none of"
            yield Problem(path, f"{says} {listed(known)}: add its passphrase")


def volume_disk(one: Entry, device: Entry, index: int, path: Path, world: Any, problems: list[Problem]) -> Disk | None:
    """Return the disk that a volume is for its instance, None if it cannot be used."""
    if device["source_type"] == "volume":
        volume = world.find((*path, "source"), device["source"], "virtfleet_volumes", problems)
        if volume is None:
            return None
        volume = schema.defaults(schema.VOLUME) | volume
        if volume["project"] != one["project"]:
            says = f"is {quoted(device['source'])}, a volume of project {volume['project']}: only its instances have it"
            problems.append(Problem((*path, "source"), says))
        name, image = device["source"], volume.get("image", "")
        kind = found_type(volume.get("type"), ("virtfleet_volumes", name, "type"), world, problems)
        size = volume["size_gb"]
        if kind is not None:
            problems += served_problems(volume, kind, ("virtfleet_volumes", name))
            kind = {**kind, "location": volume["location"]} if volume.get("location") else kind
    else:
        name = f"{one['name']}-{index}"
        kind = found_type(device.get("volume_type"), (*path, "volume_type"), world, problems)
        problems += not_made_problems(kind, (*path, "volume_type"))
        size, image = device["volume_size"], device.get("source", "")
    if kind is None:
        return None
    own = {}
    if image and device["boot_index"] != 0:  # that of the disk to boot from is the instance's
        place = (*path, "source") if device["source_type"] in FROM_IMAGE else ("virtfleet_volumes", name, "image")
        found = world.find(place, image, "virtfleet_images", problems)
        if found is None:
            return None
        whole = schema.defaults(schema.IMAGE) | found
        problems += catalogue.hidden(whole, image, one["project"], place)
        if size < whole["min_disk_gb"]:
            says = f"is {quoted(image)}, which needs {whole['min_disk_gb']} GiB and gets {size}: take a larger size"
            problems.append(Problem(place, says))
        own = {"image": {"name": image, **{key: whole[key] for key in IMAGE_KEYS if whole.get(key)}}}
    more = {key: device[key] for key in DEVICE_KEYS if device.get(key) and device[key] != "disk"}
    return {
        "name": name,
        **kept_in(kind or PLAIN_TYPE),
        "size_gb": size,
        "boot_index": device["boot_index"] if (device["boot_index"] or 0) >= 0 else None,
        "id": naming.volume_id(one["project"], name),
        **({"source_image": image} if image else {}),
        **own,
        **more,
    }


def of_instance(disks: list[Disk], one: Entry, name: str) -> list[Disk]:
    """Return the disks for one of several instances of an entry: a new volume has the instance's name."""
    if name == one["name"]:
        return disks
    own = []
    for disk in disks:
        new = disk.get("id") and disk["name"].startswith(f"{one['name']}-") and one["count"] > 1
        called = name + disk["name"][len(one["name"]) :] if new else disk["name"]
        own.append({**disk, "name": called, "id": naming.volume_id(one["project"], called)} if new else disk)
    return own


def boot_image(one: Entry, world: Any) -> str | None:
    """Return the image that the instance boots from: its own, or that of the volume with boot_index 0."""
    if "image" in one:
        return one["image"]
    first = next((device for device in one["block_devices"] if device.get("boot_index") == 0), {})
    if first.get("source_type") in FROM_IMAGE:
        return first.get("source")
    if first.get("source_type") == "volume":
        return (world.sound["virtfleet_volumes"].get(first.get("source")) or {}).get("image")
    return None


def left(types: Entry, origin: Entry) -> Entry:
    """Return where volumes of a type are, which they are to leave."""
    kind = origin.get("type")
    place = {"location": origin["location"]} if origin.get("location") else {}
    return kept_in({**types[kind], "name": kind, **place} if kind else PLAIN_TYPE)


def catalogue_volumes(catalogue: Entry, types: Entry, names: str, origin: Entry | None = None) -> list[Entry]:
    """Return volumes of the catalogue by name, as modules take them; KeyError for a name or type there is not.

    `origin` names the type that they are to leave, and the location if a storage server has them; none is plain files.
    """
    wanted = sorted(catalogue) if names == "all" else [one.strip() for one in names.split(",") if one.strip()]
    found = []
    for name in wanted:
        volume = schema.defaults(schema.VOLUME) | catalogue[name]
        kind = volume.get("type")
        place = {"location": volume["location"]} if volume.get("location") else {}
        kept = kept_in({**types[kind], "name": kind, **place} if kind else PLAIN_TYPE)
        project, image = volume["project"], volume.get("image")
        found.append(
            {
                "name": name,
                "id": naming.volume_id(project, name),
                "project": project,
                **kept,
                "size_gb": volume["size_gb"],
                "host": volume.get("host", ""),
                "everywhere": kept["backend"] in EVERYWHERE or bool(kept.get("pool", {}).get("shared")),
                **({"source_image": image} if image else {}),
                **({"origin": left(types, origin)} if origin is not None else {}),
            }
        )
    return found
