# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots and backups of a guest that runs, in a lab of one host: what they hold is read in guests made of them."""

from __future__ import annotations

import contextlib
import json
import shutil
import time

import pytest
import yaml

from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

from ..labs import ROOT, Lab

DEADLINE = 300
STATE = "/var/lib/virtfleet"
GUEST = "vfk-1"
UUID = naming.instance_uuid("default", GUEST)
BACKUPS = f"{STATE}/backups/{UUID}"
# What a run does that is killed while libvirt copies: it is slowed down, so that the job is still there.
KILLED_COPY = """
import json, os, sys
sys.path.insert(0, "/srv/lab/code")
import libvirt, libvirt_qemu
from plugins.module_utils._backups import source
from plugins.module_utils._hypervisor import backup_job
place = source.Place("/var/lib/virtfleet", "/run/virtfleet", "qemu:///system", "/var/lib/virtfleet/backups")
def killed(domain):
    for job in json.loads(libvirt_qemu.qemuMonitorCommand(domain, '{"execute": "query-block-jobs"}', 0))["return"]:
        slow = {"execute": "block-job-set-speed", "arguments": {"device": job["device"], "speed": 65536}}
        libvirt_qemu.qemuMonitorCommand(domain, json.dumps(slow), 0)
    os.kill(os.getpid(), 9)
backup_job._wait = killed
connection = libvirt.open("qemu:///system")
origin = source.find(connection, {"name": "NAME", "uuid": "UUID"}, place)
files = {"root": "/var/lib/virtfleet/backups/UUID/killed@root.qcow2.new"}
source.copy(origin, files, place, checkpoint="virtfleet-killed")
"""
# What a run does that is killed while the guest is frozen.
KILLED_FREEZE = """
import os, sys
sys.path.insert(0, "/srv/lab/code")
import libvirt
from plugins.module_utils._hypervisor.frozen import frozen
domain = libvirt.open("qemu:///system").lookupByUUIDString("INSTANCE")
with frozen(domain, "qemu:///system"):
    status = '{"execute": "guest-fsfreeze-status"}'
    print(os.popen(f"virsh -q qemu-agent-command INSTANCE '{status}'").read(), flush=True)
    os.kill(os.getpid(), 9)
"""


class World:
    """The lab, the guests of the tests and the ways to look into them."""

    def __init__(self, lab: Lab, folder):
        self.lab, self.catalogue = lab, folder / "snapshots.yml"

    def variables(self, *instances: dict) -> dict:
        known = yaml.safe_load(self.catalogue.read_text())["virtfleet_snapshots"] if self.catalogue.exists() else {}
        return {
            "virtfleet_snapshots": known,
            "virtfleet_snapshot_catalogue": str(self.catalogue),
            "virtfleet_instances": list(instances),
            "ready_timeout": DEADLINE,
        }

    def boot(self, *instances: dict):
        run = self.lab.play("playbooks/boot.yml", **self.variables(*instances))
        assert run.code == 0, run.output
        return run

    def play(self, verb: str, *arguments: str, code: int = 0, **told):
        run = self.lab.play(f"playbooks/{verb}.yml", *arguments, **{**self.variables(), **told})
        assert run.code == code, run.output
        return run

    def on(self, script: str) -> str:
        return self.lab.on("kvm1", script).strip()

    def inside(self, name: str, script: str) -> str:
        return self.lab.inside("kvm1", name, script)

    def agent(self, name: str, command: dict):
        return self.lab.agent("kvm1", name, command)

    def mark(self, name: str, word: str) -> None:
        self.inside(name, f"echo {word} > /root/marker; sync")

    def stray(self) -> list[str]:
        told = self.on(f"cd {STATE}; ls snapshots backups/* 2>/dev/null | grep new$ || true").split()
        return told + self.checkpoints()[1:]

    def checkpoints(self) -> list[str]:
        return self.on(f"virsh -q checkpoint-list {GUEST} --name").split()

    def chain(self) -> str:
        return self.on(
            f"virsh -q domblklist {GUEST}; virsh dumpxml {GUEST} | grep -c backingStore; virsh domstate {GUEST}"
        )


def guest(name: str = GUEST, **more) -> dict:
    """Return an entry: a small guest without a network, whose agent is the way in."""
    more = {"image": "virtfleet-guest", "networks": [], "wait_for": "agent", **more}
    return {"name": name, "flavor": "tiny", **more}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backup")
    lab = Lab(folder, "vfbackup", "10.82.0.0/16")
    lab.up()
    shutil.copytree(ROOT / "plugins", lab.shared / "code" / "plugins", dirs_exist_ok=True)
    one = World(lab, folder)
    wipe(one)
    one.boot(guest())
    yield one
    wipe(one)
    shutil.rmtree(lab.shared / "code")
    lab.down()


def wipe(one: World) -> None:
    one.lab.play("playbooks/delete.yml", "-e", f"names={GUEST},vfk-2")
    one.on(f"rm -rf {STATE}/snapshots {STATE}/backups")


@pytest.fixture(autouse=True)
def running(world):
    """The guest runs, whatever the test before did to it."""
    with contextlib.suppress(RuntimeError):
        if world.on(f"virsh domstate {GUEST}") == "running":
            return
    world.boot(guest())


def test_backups_full_and_incremental_are_restored(world):
    before = world.chain()
    world.mark(GUEST, "one")
    told = {"names": GUEST, "quiesce": True}
    assert world.play("backup", "--check", backup="b1", **told).changed == 1
    assert world.on(f"ls {BACKUPS} 2>/dev/null || true") == ""
    assert world.play("backup", backup="b1", **told).changed == 1
    assert world.play("backup", backup="b1", **told).changed == 0
    world.mark(GUEST, "two")
    assert world.play("backup", backup="b2", kind="incremental", **told).changed == 1
    assert (world.chain(), world.checkpoints(), world.stray()) == (before, ["virtfleet-b2"], [])
    sizes = [int(world.on(f"stat -c %s '{BACKUPS}/{name}@root.qcow2'")) for name in ("b1", "b2")]
    assert sizes[1] < sizes[0] / 2
    listed = world.play("backup").output
    assert "since b1" in listed and "b2" in listed
    assert "needed by b2" in world.play("backup", code=2, backup="b1", state="absent", names=GUEST).output
    world.mark(GUEST, "three")
    assert "runs: stop it first" in world.play("restore", code=2, names=GUEST, backup="b1").output
    for name, word in (("b1", "one"), ("b2", "two")):
        world.boot(guest(state="stopped"))
        assert world.play("restore", "--check", names=GUEST, backup=name).changed == 1
        assert world.play("restore", names=GUEST, backup=name).changed == 1
        assert world.play("restore", names=GUEST, backup=name).changed == 0
        assert world.checkpoints() == []
        world.boot(guest())
        assert world.inside(GUEST, "cat /root/marker") == word
    # There is nothing to go on from after a restore.
    refused = world.play("backup", code=2, backup="b3", kind="incremental", **told).output
    assert "does not count from the last backup b2 on" in refused
    made = world.play("backup", backup="b3", kind="auto", **told).output
    assert "was copied whole: the guest does not count from the last backup b2 on" in made
    assert json.loads(world.on(f"cat {BACKUPS}/b3.json"))["parent"] == ""
    world.boot(guest(state="stopped"))
    damage = f"printf X | dd of='{BACKUPS}/b3@root.qcow2' bs=1 seek=70000 conv=notrunc 2>/dev/null"
    world.on(damage)
    assert "was altered or is damaged" in world.play("restore", code=2, names=GUEST, backup="b3").output
    for name in ("b3", "b2", "b1"):
        world.play("backup", backup=name, state="absent", names=GUEST)
    assert world.on(f"ls {BACKUPS} 2>/dev/null || true") == ""


def test_a_snapshot_is_an_image_that_boots(world):
    before = world.chain()
    world.mark(GUEST, "golden")
    told = {"names": GUEST, "snapshot": "golden", "quiesce": True}
    assert world.play("snapshot", "--check", **told).changed == 1
    assert not world.catalogue.exists()
    assert world.play("snapshot", **told).changed == 2  # the image, and the catalogue
    assert world.play("snapshot", **told).changed == 0
    assert (world.chain(), world.stray()) == (before, [])
    assert "backing" not in world.on(f"qemu-img info {STATE}/snapshots/golden.qcow2")
    world.boot(guest(), guest("vfk-2", image="golden"))
    assert world.inside("vfk-2", "cat /root/marker") == "golden"
    assert "take another name" in world.play("snapshot", code=2, names="vfk-2", snapshot="golden").output
    world.on("virsh snapshot-create-as vfk-2 byhand --disk-only --no-metadata --diskspec vda,file=/tmp/byhand.qcow2")
    assert "which is none of its images" in world.play("snapshot", code=2, names="vfk-2", snapshot="other").output
    assert "nobody is on no host" in world.play("snapshot", code=2, names="nobody", snapshot="x").output
    assert world.play("snapshot", snapshot="golden", state="absent").changed == 2
    assert world.play("snapshot", snapshot="golden", state="absent").changed == 0
    assert world.on(f"ls {STATE}/snapshots 2>/dev/null || true") == ""
    world.lab.play("playbooks/delete.yml", "-e", "names=vfk-2")


def test_a_run_that_is_killed_leaves_nothing_after_the_next(world):
    script = KILLED_COPY.replace("NAME", GUEST).replace("UUID", UUID)
    world.on(f"python3 - <<'EOF' || true\n{script}\nEOF")
    assert "killed" in world.on(f"virsh checkpoint-list {GUEST} --name")
    assert world.on(f"virsh domjobinfo {GUEST}").split()[2] == "Unbounded"
    found = world.play("backup").output
    assert "no run waits for it" in found and "has checkpoint virtfleet-killed of no backup" in found
    assert world.play("backup", backup="after", names=GUEST).changed == 1
    assert (world.checkpoints(), world.stray()) == (["virtfleet-after"], [])
    assert "no run waits" not in world.play("backup").output
    world.play("backup", backup="after", names=GUEST, state="absent")


def test_a_guest_is_thawed_though_the_run_is_killed(world):
    script = KILLED_FREEZE.replace("INSTANCE", UUID)
    told = world.on(f"python3 - 2>&1 <<'EOF' || true\n{script}\nEOF")
    assert "frozen" in told, told
    end = time.monotonic() + 15
    while world.agent(GUEST, {"execute": "guest-fsfreeze-status"}) != "thawed":
        assert time.monotonic() < end, "it is frozen"
        time.sleep(0.5)
    world.mark(GUEST, "writes")
