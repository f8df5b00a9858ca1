# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on a machine with LVM: the disks of instances and volumes in a real volume group, thick and thin.

It runs as root with the collection's plugins beside it, and prints what failed.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import traceback
import uuid

sys.path.insert(0, "/root/code")

from plugins.module_utils._model.errors import ItemError
from plugins.module_utils._model.trace import Place
from plugins.module_utils._traces import sweep
from plugins.module_utils._volumes import alone, group_traces, luks, lvm, retype, stage

MIB, GIB = 2**20, 2**30
STATE, RUN = "/var/lib/virtfleet", "/run/virtfleet"
THICK = {"volume_group": "vg0"}
THIN = {"volume_group": "vg0", "thin_pool": "guests"}
KINDS = {"thick": THICK, "thin": THIN}


def shell(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def volumes() -> set[str]:
    return set(shell("lvs", "--noheadings", "-o", "lv_name", "vg0").split()) - {"guests"}


def prepare() -> str:
    """Make the group, a pool and an image of 64 MiB that begins with a word; return the image."""
    shell("vgcreate", "-q", "vg0", "/dev/vdc")
    shell("lvcreate", "-q", "-y", "--type", "thin-pool", "-L", "1G", "-n", "guests", "vg0")
    images = pathlib.Path(STATE, "images")
    images.mkdir(parents=True)
    plain, base = images / "plain", images / f"{uuid.uuid4().hex}.qcow2"
    with plain.open("wb") as stream:
        stream.write(b"VIRTFLEET" * 4096)
        stream.truncate(64 * MIB)
    shell("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(plain), str(base))
    base.chmod(0o444)
    return str(base)


def instance(base: str, pool: dict, title: str, *more: dict) -> dict:
    image = {"name": "tiny", "path": base, "format": "qcow2", "virtual_size": 64 * MIB}
    root = {"name": "root", "backend": "lvm", "size_mb": 128, "boot_index": 0, "pool": pool}
    return {"name": title, "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, title)), "image": image, "volumes": [root, *more]}


def content(path: str, offset: int, size: int) -> bytes:
    with open(path, "rb") as stream:
        stream.seek(offset)
        return stream.read(size)


def a_root_disk_is_made_grown_and_removed(base: str, pool: dict) -> None:
    swap = {"name": "swap", "backend": "lvm", "size_mb": 32, "guest_format": "swap", "pool": pool}
    one = instance(base, pool, "web-1", swap)
    before = volumes()
    root, space = stage.provide(one, STATE, RUN).facts["volumes"]
    assert root["path"] == f"/dev/vg0/{one['uuid']}_root" and root["format"] == "raw"
    assert content(root["path"], 0, 9) == b"VIRTFLEET" and content(root["path"], 100 * MIB, 4096) == bytes(4096)
    assert 'TYPE="swap"' in shell("blkid", "-p", space["path"])
    assert not stage.provide(one, STATE, RUN).changed
    one["volumes"][0]["size_mb"] = 256
    assert stage.provide(one, STATE, RUN).changed and not stage.provide(one, STATE, RUN).changed
    assert int(shell("blockdev", "--getsize64", root["path"])) == 256 * MIB
    assert content(root["path"], 0, 9) == b"VIRTFLEET" and content(root["path"], 255 * MIB, 4096) == bytes(4096)
    assert stage.withdraw(one, STATE, RUN).changed and not stage.withdraw(one, STATE, RUN).changed
    assert {name for name in volumes() - before if not name.startswith("virtfleet-")} == set()


def nobody_reads_what_another_guest_wrote(base: str, pool: dict) -> None:
    """Fill a volume, remove it, and look at all of the next one, which has its blocks."""
    item = {"name": "data", "id": str(uuid.uuid4()), "backend": "lvm", "size_gb": 0, "size_mb": 512, "pool": pool}
    path = alone.provide(item, STATE, RUN).facts["path"]
    with open(path, "r+b") as stream:
        for _each in range(512):
            stream.write(b"SECRET!!" * (MIB // 8))
    assert alone.withdraw(item, STATE, RUN).changed
    path = alone.provide(item, STATE, RUN).facts["path"]
    for number in range(512):
        assert content(path, number * MIB, MIB) == bytes(MIB), number
    alone.withdraw(item, STATE, RUN)


def an_open_volume_grows_and_is_not_removed(base: str, pool: dict) -> None:
    item = {"name": "data", "id": str(uuid.uuid4()), "backend": "lvm", "size_gb": 0, "size_mb": 64, "pool": pool}
    path = alone.provide(item, STATE, RUN).facts["path"]
    with open(path, "rb"):
        grown = alone.provide({**item, "size_mb": 128}, STATE, RUN)
        assert grown.changed and int(shell("blockdev", "--getsize64", path)) == 128 * MIB
        try:
            alone.withdraw(item, STATE, RUN)
            raise AssertionError("it was removed")
        except ItemError as error:
            assert "in use by a guest" in str(error)
    assert alone.withdraw(item, STATE, RUN).changed


def a_failure_leaves_nothing(base: str, pool: dict) -> None:
    before = volumes()
    item = {"name": "data", "id": str(uuid.uuid4()), "backend": "lvm", "size_gb": 100000, "pool": pool}
    if "thin_pool" not in pool:
        try:
            alone.provide(item, STATE, RUN)
            raise AssertionError("it was made")
        except ItemError as error:
            assert "insufficient free space" in str(error), error
    os.chmod(base, 0o644)
    for path in pathlib.Path("/dev/vg0").glob("virtfleet-*"):
        shell("lvremove", "-f", "-y", str(path))
    try:
        stage.provide(instance(base, pool, "web-2"), STATE, RUN)
        raise AssertionError("it was made")
    except ItemError as error:
        assert "is writable" in str(error), error
    finally:
        os.chmod(base, 0o444)
    assert volumes() - before == set()


def a_volume_moves_to_files_and_back(base: str, pool: dict) -> None:
    item = {"name": "data", "id": str(uuid.uuid4()), "backend": "lvm", "size_gb": 0, "size_mb": 64, "pool": pool}
    path = alone.provide(item, STATE, RUN).facts["path"]
    with open(path, "r+b") as stream:
        stream.write(b"MOVED")
    kept = {key: value for key, value in item.items() if key not in ("backend", "pool")}
    files = {**kept, "backend": "qcow2", "origin": {"backend": "lvm", "pool": pool}}
    assert retype.retype(files, STATE, RUN).changed and not retype.retype(files, STATE, RUN).changed
    assert lvm.state(lvm_volume(item)) == "missing"
    back = {**item, "origin": {"backend": "qcow2"}}
    assert retype.retype(back, STATE, RUN).changed
    assert content(path, 0, 5) == b"MOVED"
    assert alone.withdraw(item, STATE, RUN).changed


def lvm_volume(item: dict):
    from plugins.module_utils._volumes.volume import wanted

    return wanted(alone.owned(item), STATE)[0]


def many_thin_disks_of_one_image_are_snapshots(base: str, pool: dict) -> None:
    many = [instance(base, THIN, f"many-{number}") for number in range(6)]
    errors: list[Exception] = []

    def make(one: dict) -> None:
        try:
            stage.provide(one, STATE, RUN)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=make, args=(one,)) for one in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [], errors
    parents = [name for name in volumes() if name.startswith("virtfleet-")]
    assert len(parents) == 1, parents
    told = json.loads(shell("lvs", "--reportformat", "json", "-o", "lv_name,origin,data_percent", "vg0"))
    made = [one for one in told["report"][0]["lv"] if one["lv_name"].endswith("_root")]
    assert {one["origin"] for one in made} == set(parents) and len(made) == 6
    began = time.monotonic()
    stage.provide(instance(base, THIN, "one-more"), STATE, RUN)
    print(f"a thin snapshot took {time.monotonic() - began:.2f} s")
    with open(f"/dev/vg0/{many[0]['uuid']}_root", "r+b") as stream:
        stream.write(b"CHANGED!!")
    assert content(f"/dev/vg0/{many[1]['uuid']}_root", 0, 9) == b"VIRTFLEET"
    for one in [*many, instance(base, THIN, "one-more")]:
        assert stage.withdraw(one, STATE, RUN).changed


def what_is_left_in_the_group_is_found_and_swept(base: str, pool: dict) -> None:
    """A disk of an instance that is gone goes; one that is open and a volume with a life of its own stay."""
    owner, kept = (str(uuid.uuid5(uuid.NAMESPACE_URL, one)) for one in ("left", "kept"))
    before = volumes()
    for name in (f"{owner}_root", f"{owner}_swap.new", kept, "stranger"):
        shell("lvcreate", "-q", "-y", "-Wy", "-Zy", "-L", "8M", "-n", name, "vg0")
    place = Place(STATE, RUN, stores=({"backend": "lvm", **pool},))
    found = {one.name: one for one in group_traces.find_volumes(place)}
    assert set(found) == {f"vg0/{owner}_root", f"vg0/{owner}_swap.new", f"vg0/{kept}"}, found
    assert all(0 <= one.age < 600 for one in found.values()), found
    asked = [{"kind": "logical_volume", "name": name, "owner": ""} for name in found]
    with open(f"/dev/vg0/{owner}_root", "rb"):
        told = []
        for one in asked:
            try:
                told.append(sweep(place, one, 0, False).changed)
            except ItemError as error:
                told.append(str(error))
    assert sorted(map(str, told))[0] == "True" and len([one for one in told if one is not True]) == 2, told
    assert sweep(place, asked[list(found).index(f"vg0/{owner}_root")], 0, False).changed
    assert volumes() - before == {kept, "stranger"}
    shell("lvremove", "-f", "-y", f"vg0/{kept}", "vg0/stranger")


def encrypted_disks_are_opened_by_the_passphrase_alone(base: str, pool: dict) -> None:
    luks.OPTIONS = "key-secret=key,iter-time=10"
    kind, keys = {"encryption": "luks", "key": "safe"}, {"safe": "nobody reads this"}
    one = instance(base, pool, "safe-1")
    one["volumes"][0].update(kind)
    item = {
        "name": "data",
        "id": str(uuid.uuid4()),
        "backend": "lvm",
        "size_gb": 0,
        "size_mb": 64,
        "pool": pool,
        **kind,
    }
    (root,) = stage.provide(one, STATE, RUN, keys).facts["volumes"]
    data = alone.provide(item, STATE, RUN, keys).facts["path"]
    assert b"VIRTFLEET" not in content(root["path"], 0, 66 * MIB)
    assert locked(root["path"], "read -P 0x56 0 1", keys["safe"]) and not locked(root["path"], "read 0 512", "another")
    assert locked(data, f"write -P 0x41 {64 * MIB - 512} 512", keys["safe"])
    assert not alone.provide(item, STATE, RUN, {}).changed and not stage.provide(one, STATE, RUN, {}).changed
    larger = {**item, "size_mb": 128}
    assert alone.provide(larger, STATE, RUN, keys).changed and not alone.provide(larger, STATE, RUN, keys).changed
    assert locked(data, f"read {128 * MIB - 512} 512", keys["safe"])
    files = {**{key: larger[key] for key in ("name", "id", "size_gb", "size_mb")}, "backend": "qcow2"}
    assert retype.retype({**files, "origin": {"backend": "lvm", "pool": pool, **kind}}, STATE, RUN, keys).changed
    assert retype.retype({**larger, "origin": {"backend": "qcow2"}}, STATE, RUN, keys).changed
    assert locked(data, f"read -P 0x41 {64 * MIB - 512} 512", keys["safe"])
    assert stage.withdraw(one, STATE, RUN).changed and alone.withdraw(item, STATE, RUN).changed


def locked(path: str, command: str, key: str) -> bool:
    options = luks.options({"driver": "host_device", "filename": path}, True)
    argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", command, "--image-opts", options]
    done = subprocess.run(argv, input=key, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "Pattern verification failed" not in done.stdout


BOTH = (
    encrypted_disks_are_opened_by_the_passphrase_alone,
    what_is_left_in_the_group_is_found_and_swept,
    a_root_disk_is_made_grown_and_removed,
    nobody_reads_what_another_guest_wrote,
    an_open_volume_grows_and_is_not_removed,
    a_failure_leaves_nothing,
    a_volume_moves_to_files_and_back,
)


def a_guest_starts_from_a_volume(base: str, pool: dict) -> None:
    import guest  # it needs libvirt and QEMU, and the others do not

    guest.a_guest_starts_from_a_volume_and_is_backed_up_and_restored(pool, STATE, RUN)


def main() -> int:
    base, failed = prepare(), 0
    cases = [(case, kind) for case in BOTH for kind in KINDS] + [(many_thin_disks_of_one_image_are_snapshots, "thin")]
    cases += [(a_guest_starts_from_a_volume, kind) for kind in KINDS]
    for case, kind in cases:
        try:
            case(base, KINDS[kind])
            print(f"ok {case.__name__} {kind}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {case.__name__} {kind}: {traceback.format_exc()}", flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
