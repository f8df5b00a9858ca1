# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that starts from a logical volume, writes to it and halts, in a machine that is emulated itself.

It is run there as the other cases are, after them: it is the only one that needs libvirt and QEMU.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import uuid

import libvirt

from plugins.module_utils._backups import backup, restore
from plugins.module_utils._backups.source import Place
from plugins.module_utils._hypervisor import domains
from plugins.module_utils._model.domain import plan_absent, plan_present
from plugins.module_utils._model.errors import ItemError
from plugins.module_utils._model.instance import Instance
from plugins.module_utils._volumes import stage
from plugins.module_utils._xml.domain import Guest
from plugins.module_utils._xml.read import wanted_shape

MIB = 2**20
URI = "qemu:///system"
# BIOS, write what was loaded from the first sector, these very bytes, to the second one; cli; hlt.
WRITE = "31c08ec0bb007cb80103b90200ba8000cd13faf4ebfd"
SECTOR = bytes.fromhex(WRITE).ljust(510, b"\0") + b"\x55\xaa"
SECONDS = 600


def bootable(state: str) -> str:
    """Return an image that has nothing but that sector."""
    plain, base = pathlib.Path(state, "images", "boot"), pathlib.Path(state, "images", f"{uuid.uuid4().hex}.qcow2")
    plain.write_bytes(SECTOR.ljust(8 * MIB, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", plain, base], check=True)
    base.chmod(0o444)
    return str(base)


def sectors(path: str) -> bytes:
    """Return the first two sectors as the disk has them, past what this system remembers of it."""
    subprocess.run(["blockdev", "--flushbufs", path], check=True)
    command = ["dd", f"if={path}", "iflag=direct", "bs=4096", "count=1", "status=none"]
    return subprocess.run(command, check=True, capture_output=True).stdout[:1024]


def record(base: str, pool: dict, title: str) -> dict:
    root = {"name": "root", "backend": "lvm", "size_gb": 0, "size_mb": 16, "boot_index": 0, "pool": pool}
    return {
        "name": title,
        "domain": title,
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, title)),
        "flavor": {"name": "still", "vcpus": 1, "memory_mb": 64, "disk_gb": 0},
        "image": {"name": "boot", "path": base, "format": "qcow2", "virtual_size": 8 * MIB},
        "volumes": [root],
        "ports": [],
        "spec_digest": "1",
    }


def started(connection: libvirt.virConnect, one: dict, state: str, run: str) -> Instance:
    """Start the guest as stage domain does, and wait until it has written."""
    guest = Guest("qemu", state, cache="none", tb_cache_mb=32)
    settings = domains.Settings(guest, start_timeout=SECONDS, stop_timeout=SECONDS, run_dir=run)
    wanted = Instance.from_record(one)
    world = domains.read(connection, [wanted.uuid])
    found = world.domains.get(wanted.uuid)
    plan = plan_present(wanted, lambda instance: wanted_shape(instance, state), found, "")
    domains.make(connection, plan, settings)
    domains.let_run(connection, plan, settings)
    path, end = one["volumes"][0]["path"], time.monotonic() + SECONDS
    while sectors(path)[512:] != SECTOR:
        if time.monotonic() > end:
            raise AssertionError("the guest has written nothing")
        time.sleep(1)
    return wanted


def a_guest_starts_from_a_volume_and_is_backed_up_and_restored(pool: dict, state: str, run: str) -> None:
    """The domain has the device and no file, what it wrote is there, and while it runs nobody takes that away."""
    connection, one = (
        libvirt.open(URI),
        record(bootable(state), pool, f"boot-{'thin' if 'thin_pool' in pool else 'thick'}"),
    )
    one["volumes"] = stage.provide(one, state, run).facts["volumes"]
    path = one["volumes"][0]["path"]
    if sectors(path) != SECTOR + bytes(512):
        raise AssertionError("the disk is not the image")
    wanted = started(connection, one, state, run)
    domain = connection.lookupByUUIDString(one["uuid"])
    if f'<source dev="{path}"' not in domain.XMLDesc(0).replace("'", '"') or "<source file" in domain.XMLDesc(0):
        raise AssertionError(domain.XMLDesc(0))
    if os.path.realpath(path) not in opened():
        raise AssertionError(f"no QEMU has {path} open")
    try:
        stage.withdraw(one, state, run)
        raise AssertionError("the disk of a guest that runs was removed")
    except ItemError as error:
        print(f"while it runs: {error}")
    place = Place(state, run, URI, os.path.join(state, "backups"))
    item = {"name": "b1", "instance": one, "kind": "full", "quiesce": False}
    if not backup.provide(connection, item, place).changed:
        raise AssertionError("no backup was made")
    domain.destroy()
    with open(path, "r+b") as disk:
        disk.write(bytes(1024))
    if not restore.provide(connection, item, place).changed or restore.provide(connection, item, place).changed:
        raise AssertionError("it was not restored, or twice")
    if sectors(path) != SECTOR * 2:
        raise AssertionError("the disk is not as it was")
    domains.unmake(
        connection,
        plan_absent(wanted, domains.read(connection, [wanted.uuid]).domains[wanted.uuid], True),
        gone(state, run),
    )
    if not stage.withdraw(one, state, run).changed or os.path.exists(path):
        raise AssertionError("the disk is still there")


def gone(state: str, run: str) -> domains.Settings:
    return domains.Settings(Guest("qemu", state), stop_timeout=SECONDS, run_dir=run)


def opened() -> set[str]:
    """Return what the QEMUs of this machine have open."""
    found = set()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if "qemu-system" in (folder / "exe").readlink().name:
                found |= {os.path.realpath(one) for one in (folder / "fd").iterdir()}
        except OSError:
            continue
    return found
