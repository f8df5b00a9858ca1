# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of real guests in a lab of two hosts: what a guest writes to them is read again, from wherever it may be."""

from __future__ import annotations

import yaml

from ..boot.machine import Commands
from .world import NAMES, PASSPHRASE, VOLUMES, guest


def secrets(world, host="kvm1") -> list[str]:
    return [line for line in world.lab.on(host, "virsh -q secret-list").splitlines() if line.strip()]


def test_encrypted_disks_hold_nothing_that_can_be_read_and_the_key_is_nowhere(world):
    more = {"volume_type": "safe", "host": "kvm1"}
    with Commands() as commands:
        world.boot(guest("vfv-1", "vfv-safe", **more))
        world.write("kvm1", "vfv-1", "vfv-safe", "MARKER")
        world.lab.inside("kvm1", "vfv-1", "yes MARKER | head -n 1000 > /root/marker; sync")
        assert len(secrets(world)) == 2
        assert world.boot(guest("vfv-1", "vfv-safe", **more)).changed == 0
        world.boot(guest("vfv-1", **more))
        assert len(secrets(world)) == 1
        world.boot(guest("vfv-1", "vfv-safe", **more))
        assert world.read("kvm1", "vfv-1", "vfv-safe") == "MARKER"
    larger = {"virtfleet_volumes": {**VOLUMES, "vfv-safe": {**VOLUMES["vfv-safe"], "size_gb": 2}}}
    world.boot(guest("vfv-1", "vfv-safe", **more), **larger)  # live
    found = world.disk("kvm1", "vfv-1", "vfv-safe")
    assert world.lab.inside("kvm1", "vfv-1", f"{found} blockdev --getsize64 $disk") == str(2 * 2**30)
    disks = "/var/lib/virtfleet/instances/*/root.qcow2 /var/lib/virtfleet/volumes/*.qcow2"
    assert world.lab.on("kvm1", f"ls {disks} | wc -l; grep -la MARKER {disks} || true").split() == ["2"]
    # libvirt forgets the passphrases when it ends: who steals the host has nothing. A start brings them again.
    world.boot(guest("vfv-1", "vfv-safe", state="stopped", **more), **larger)
    world.lab.on("kvm1", "pkill -9 -x libvirtd; sleep 3; virsh -q list >/dev/null")
    assert secrets(world) == []
    world.boot(guest("vfv-1", "vfv-safe", **more), **larger)
    assert world.read("kvm1", "vfv-1", "vfv-safe") == "MARKER"
    assert "nothing stray" in world.play("audit").output
    world.play("backup", "-e", "names=vfv-1", "-e", "backup=b1", **larger)
    backups = "/var/lib/virtfleet/backups"
    assert world.lab.on("kvm1", f"ls {backups}/*/*.qcow2 | wc -l; grep -rla MARKER {backups} || true").split() == ["2"]
    world.write("kvm1", "vfv-1", "vfv-safe", "LATER")
    world.boot(guest("vfv-1", "vfv-safe", state="stopped", **more), **larger)
    assert world.play("restore", "-e", "names=vfv-1", "-e", "backup=b1", **larger).changed == 1
    world.boot(guest("vfv-1", "vfv-safe", **more), **larger)
    assert world.read("kvm1", "vfv-1", "vfv-safe") == "MARKER"
    assert world.lab.on("kvm1", f"grep -la MARKER {disks} || true") == ""
    world.play("backup", "-e", "names=vfv-1", "-e", "backup=b1", "-e", "state=absent", **larger)
    told = world.lab.on("kvm1", "virsh dumpxml vfv-1 --security-info; virsh dumpxml vfv-1 --inactive")
    places = "/var/lib/virtfleet /run/virtfleet /etc/libvirt /var/lib/libvirt /var/log /run/libvirt"
    assert world.lab.on("kvm1", f"grep -rlaF '{PASSPHRASE}' {places} 2>/dev/null || true") == ""
    assert PASSPHRASE not in told + world.output
    assert not [one for one in commands.seen if PASSPHRASE.encode() in one]
    world.play("delete", "-e", "names=vfv-1")
    assert secrets(world) == []
    world.play("volumes", "-e", "verb=delete", "-e", "names=vfv-safe")
    assert world.lab.on("kvm1", "ls /var/lib/virtfleet/volumes").strip() == ""


def test_a_volume_in_a_directory_that_all_hosts_see_goes_from_one_to_the_other(world):
    world.boot(guest("vfv-1", "vfv-shared", host="kvm1"), guest("vfv-2", host="kvm2"))
    world.write("kvm1", "vfv-1", "vfv-shared", "SHARED")
    refused = world.boot(guest("vfv-1", "vfv-shared", host="kvm1"), guest("vfv-2", "vfv-shared", host="kvm2"), code=2)
    assert "vfv-shared" in refused.output
    world.boot(guest("vfv-1", host="kvm1"), guest("vfv-2", host="kvm2"))
    world.boot(guest("vfv-1", host="kvm1"), guest("vfv-2", "vfv-shared", host="kvm2"))
    assert world.read("kvm2", "vfv-2", "vfv-shared") == "SHARED"
    world.play("delete", "-e", f"names={NAMES}")


def test_a_snapshot_of_a_volume_becomes_a_volume_on_a_host_that_has_no_file_of_it(world):
    world.boot(guest("vfv-1", "vfv-plain", host="kvm1"))
    world.write("kvm1", "vfv-1", "vfv-plain", "GOLDEN")
    told = ("-e", "names=vfv-1", "-e", "snapshot=vfv-copy", "-e", "volume=vfv-plain")
    assert world.play("snapshot", *told).changed == 2  # the image, and the catalogue
    assert world.play("snapshot", *told).changed == 0
    assert yaml.safe_load(world.catalogue.read_text())["virtfleet_snapshots"]["vfv-copy"]["host"] == "kvm1"
    new = {"source_type": "snapshot", "source": "vfv-copy", "destination_type": "volume", "volume_size": 2}
    more = {"host": "kvm2", "block_devices": [{**new, "delete_on_termination": True}]}
    keep = guest("vfv-1", "vfv-plain", host="kvm1")
    world.boot(keep, guest("vfv-2", **more))
    assert world.read("kvm2", "vfv-2", "vfv-2-0") == "GOLDEN"
    assert "No such file" in world.lab.on("kvm2", "ls /var/lib/virtfleet/snapshots 2>&1 || true")
    assert world.boot(keep, guest("vfv-2", **more)).changed == 0
    world.play("delete", "-e", f"names={NAMES}")
    assert world.lab.on("kvm2", "ls /var/lib/virtfleet/volumes").strip() == ""
    assert world.play("snapshot", "-e", "snapshot=vfv-copy", "-e", "state=absent").changed == 2


def test_the_next_host_makes_the_new_volume_that_the_first_had_made_for_nothing(world):
    stays = guest("vfv-2", host="kvm2")
    world.boot(stays)  # so the emptier host is tried first
    world.lab.on("kvm1", "chmod 700 /var/lib/virtfleet/instances")  # QEMU does not come to its disks
    new = {"source_type": "blank", "destination_type": "volume", "volume_size": 1}
    try:
        run = world.boot(stays, guest("vfv-1", block_devices=[new]))
    finally:
        world.lab.on("kvm1", "chmod 755 /var/lib/virtfleet/instances")
    assert "not on kvm1" in run.output and "vfv-1  active  kvm2" in run.output, run.output
    assert world.lab.on("kvm1", "ls /var/lib/virtfleet/volumes").strip() == ""
    assert len(world.lab.on("kvm2", "ls /var/lib/virtfleet/volumes").split()) == 2  # the disk and its record
    world.play("delete", "-e", f"names={NAMES}")


def test_a_volume_moves_to_another_type_with_all_that_is_in_it(world):
    host1 = guest("vfv-1", "vfv-plain", host="kvm1")
    world.boot(host1)
    world.write("kvm1", "vfv-1", "vfv-plain", "MOVED")
    told = ("-e", "verb=retype", "-e", "names=vfv-plain", "-e", "from_type=files")
    shared = {"virtfleet_volumes": {**VOLUMES, "vfv-plain": {"size_gb": 1, "type": "nfs"}}}
    assert "attached to vfv-1: detach it first" in world.play("volumes", *told, **shared, code=2).output
    world.play("delete", "-e", "names=vfv-1")
    assert world.play("volumes", *told, "--check", **shared).changed == 2
    assert world.play("volumes", *told, **shared).changed == 2  # the volume, and what the registry says of it
    assert world.play("volumes", *told, **shared).changed == 0
    assert world.lab.on("kvm1", "ls /var/lib/virtfleet/volumes").strip() == ""
    world.boot(guest("vfv-2", "vfv-plain", host="kvm2"), **shared)
    assert world.read("kvm2", "vfv-2", "vfv-plain") == "MOVED"
    world.play("delete", "-e", "names=vfv-2", **shared)
    safe = {"virtfleet_volumes": {**VOLUMES, "vfv-plain": {"size_gb": 1, "type": "safe"}}}
    told = ("-e", "verb=retype", "-e", "names=vfv-plain", "-e", "from_type=nfs")
    assert world.play("volumes", *told, **safe).changed == 2
    world.boot(host1, **safe)
    assert world.read("kvm1", "vfv-1", "vfv-plain") == "MOVED"
    assert world.lab.on("kvm1", "grep -la MOVED /var/lib/virtfleet/volumes/*.qcow2 || true") == ""
    world.play("delete", "-e", "names=vfv-1", **safe)
    world.play("volumes", "-e", "verb=delete", "-e", "names=vfv-plain", **safe)
