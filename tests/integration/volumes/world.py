# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of two hosts, a fleet with volumes in it, and the ways to look into its guests."""

from __future__ import annotations

import pathlib

import yaml

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

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
    "vfv-plain": {"size_gb": 1},
}
# The disk with a serial number, as the guest sees it.
DISK = (
    'for one in /sys/block/vd*; do [ "$(cat $one/serial)" = "{serial}" ] && disk=/dev/${{one##*/}}; done; [ "$disk" ];'
)


class World:
    """The lab and the fleet in it."""

    def __init__(self, lab: Lab, folder: pathlib.Path):
        self.lab, self.catalogue = lab, folder / "snapshots.yml"
        self.output = ""

    def play(self, playbook: str, *arguments: str, code: int | None = 0, instances=(), **more):
        """Run a playbook with these instances, which must end so."""
        fleet = {"virtfleet_volume_types": TYPES, "virtfleet_volumes": VOLUMES, "ready_timeout": DEADLINE}
        fleet["virtfleet_volume_keys"] = {"safe": PASSPHRASE}
        fleet["virtfleet_snapshot_catalogue"] = str(self.catalogue)
        if self.catalogue.exists():
            fleet |= yaml.safe_load(self.catalogue.read_text())
        fleet = {**fleet, "virtfleet_instances": list(instances), **more}
        run = self.lab.play(f"playbooks/{playbook}.yml", *arguments, **fleet)
        self.output += run.output
        assert code is None or run.code == code, run.output
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


def wipe(one: World) -> None:
    one.lab.play("playbooks/delete.yml", "-e", f"names={NAMES}")
    one.lab.play(
        "playbooks/volumes.yml",
        *("-e", "verb=delete", "-e", "names=all"),
        virtfleet_volume_types=TYPES,
        virtfleet_volumes=VOLUMES,
    )
