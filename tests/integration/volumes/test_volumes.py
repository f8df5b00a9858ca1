# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes of real guests in a lab of two hosts: what a guest writes to them is read again, from wherever it may be."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

from ..boot.machine import Commands
from ..labs import Lab

DEADLINE = 300
NAMES = "vfv-1,vfv-2"
PASSPHRASE = "nobody reads this, wherever he looks"
TYPES = {
    "safe": {"backend": "qcow2", "encryption": "luks"},
    "nfs": {"backend": "raw", "directory": "/srv/lab/volumes", "shared": True},
}
VOLUMES = {
    "vfv-safe": {"size_gb": 1, "type": "safe"},
    "vfv-shared": {"size_gb": 1, "type": "nfs"},
}
# The disk with a serial number, as the guest sees it.
DISK = (
    'for one in /sys/block/vd*; do [ "$(cat $one/serial)" = "{serial}" ] && disk=/dev/${{one##*/}}; done; [ "$disk" ];'
)


class World:
    """The lab and the fleet in it."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.output = ""

    def play(self, playbook: str, *arguments: str, code: int = 0, instances=(), **more):
        """Run a playbook with these instances, which must end so."""
        fleet = {"virtfleet_volume_types": TYPES, "virtfleet_volumes": VOLUMES, "ready_timeout": DEADLINE}
        fleet["virtfleet_volume_keys"] = {"safe": PASSPHRASE}
        run = self.lab.play(
            f"playbooks/{playbook}.yml", *arguments, virtfleet_instances=list(instances), **fleet, **more
        )
        self.output += run.output
        assert run.code == code, run.output
        return run

    def boot(self, *instances: dict, **more):
        return self.play("boot", instances=instances, **more)

    def write(self, host: str, name: str, volume: str, word: str) -> None:
        """The guest writes a word to a volume, a thousand times."""
        lines = f"i=0; while [ $i -lt 1000 ]; do echo {word}; i=$((i+1)); done"
        self.lab.inside(
            host, name, f"{self.disk(host, name, volume)} ({lines}) | dd of=$disk conv=fsync 2>/dev/null; sync"
        )

    def read(self, host: str, name: str, volume: str) -> str:
        """Return the first line of a volume, as the guest reads it."""
        return self.lab.inside(host, name, f"{self.disk(host, name, volume)} head -n 1 $disk")

    def disk(self, host: str, name: str, volume: str) -> str:
        """Return how a guest finds the disk that is the volume: by the serial number that libvirt gave it."""
        found = self.lab.on(host, f"virsh -q dumpxml {name} | grep -A20 '<disk' | grep '<serial>'")
        serials = [line.split(">")[1].split("<")[0][:20] for line in found.splitlines()]
        return DISK.format(serial=next(one for one in serials if naming.volume_id("default", volume).startswith(one)))


def guest(name="vfv-1", *volumes, **more) -> dict:
    """Return a small guest without a network, whose agent is the way in, with these volumes of the catalogue."""
    devices = [{"source_type": "volume", "source": one, "destination_type": "volume"} for one in volumes]
    base = {"name": name, "flavor": "tiny", "image": "virtfleet-guest", "networks": [], "wait_for": "agent"}
    return {**base, "block_devices": devices, **more}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("volumes"), "vfvolume", "10.83.0.0/16", hosts=2)
    lab.up()
    (lab.shared / "volumes").mkdir(exist_ok=True)
    one = World(lab)
    wipe(one)
    yield one
    wipe(one)
    lab.down()


def wipe(one: World) -> None:
    one.lab.play("playbooks/delete.yml", "-e", f"names={NAMES}")
    one.lab.play(
        "playbooks/volumes.yml",
        *("-e", "verb=delete", "-e", "names=all"),
        virtfleet_volume_types=TYPES,
        virtfleet_volumes=VOLUMES,
    )


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
    disks = "/var/lib/virtfleet/instances/*/root.qcow2 /var/lib/virtfleet/volumes/*.qcow2"
    assert world.lab.on("kvm1", f"ls {disks} | wc -l; grep -la MARKER {disks} || true").split() == ["2"]
    # libvirt forgets the passphrases when it ends: who steals the host has nothing. A start brings them again.
    world.boot(guest("vfv-1", "vfv-safe", state="stopped", **more))
    world.lab.on("kvm1", "pkill -9 -x libvirtd; sleep 3; virsh -q list >/dev/null")
    assert secrets(world) == []
    world.boot(guest("vfv-1", "vfv-safe", **more))
    assert world.read("kvm1", "vfv-1", "vfv-safe") == "MARKER"
    assert "nothing stray" in world.play("audit").output
    copies = world.play("backup", "-e", "names=vfv-1", code=2).output
    assert "has the encrypted disk root, and a copy of it would be in clear" in copies
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
