# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the disk of a guest that only halts: real libvirt, QEMU and files, and seconds in all."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import uuid
from dataclasses import replace

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._backups import (
    backup,
    inventory,
    restore,
    snapshot,
    source,
)
from ansible_collections.virtfleet.compute.plugins.module_utils._hypervisor import backup_job
from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._volumes import luks, qcow2, raw, stage

libvirt = pytest.importorskip("libvirt")
URI = "qemu:///system"
NAME = "vfk-core"
UUID = str(uuid.uuid5(uuid.NAMESPACE_URL, NAME))
BOOT_SECTOR = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp back to hlt
DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{root}'/><target dev='vda'/>
</disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{drive}'/><target dev='vdb'/>
<readonly/></disk>{more}</devices></domain>"""
SAFE = """<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{path}'>
<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption></source><target dev='{dev}'/>
</disk>"""
SECRET = """<secret ephemeral='yes' private='yes'><uuid>{uuid}</uuid>
<usage type='volume'><volume>virtfleet:{owner}/{name}</volume></usage></secret>"""
PASSPHRASE = "nobody reads this, wherever he looks"


class World:
    """A guest of our own in a folder of its own, as the stages leave one."""

    def __init__(self, folder: pathlib.Path, connection):
        self.folder, self.connection = folder, connection
        self.home, self.base = folder / "instances" / UUID, folder / "images" / "base.qcow2"
        self.root = self.home / "root.qcow2"
        places = (str(folder), str(folder / "run"), URI)
        self.backups = source.Place(*places, str(folder / "backups"))
        self.snapshots = source.Place(*places, str(folder / "snapshots"))
        self.store = folder / "backups" / UUID

    def make(self):
        """Make the disk over its image and start the guest."""
        for path in (self.base.parent, self.home):
            path.mkdir(parents=True)
        raw = self.folder / "raw"
        raw.write_bytes(BOOT_SECTOR.ljust(2**20, b"\0"))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(self.base))
        self.base.chmod(0o444)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self.base), "-F", "qcow2", str(self.root), "8G")
        self.write(7, "1M", "8M")
        (self.home / "config.iso").write_bytes(bytes(2048))
        volume = {"name": "root", "backend": "qcow2", "format": "qcow2", "path": str(self.root), "size": 2**33}
        volume.update(image="halt", base=str(self.base), base_format="qcow2")
        (self.home / "volumes.json").write_text(json.dumps({"volumes": [volume]}))
        self.define()
        self.domain.create()

    def define(self, more: str = "") -> None:
        drive = self.home / "config.iso"
        self.connection.defineXML(DOMAIN.format(name=NAME, uuid=UUID, root=self.root, drive=drive, more=more))

    def encrypt(self) -> dict[str, pathlib.Path]:
        """The guest, which is off, has two more disks, which are encrypted; return their files by name."""
        keys, found, disks = {"safe": PASSPHRASE}, {}, ""
        kind = {"encryption": "luks", "key": "safe", "size_mb": 16}
        volumes = [{"name": f"safe-{one}", "backend": one, **kind} for one in ("qcow2", "raw")]
        record = {"name": NAME, "uuid": UUID, "volumes": volumes}
        self.domain.destroy()
        made = stage.provide(record, str(self.folder), str(self.folder / "run"), keys).facts["volumes"]
        for dev, one in zip(("vdc", "vdd"), made):
            secret, found[one["name"]] = naming.volume_secret_id(UUID, one["name"]), pathlib.Path(one["path"])
            about = SECRET.format(uuid=secret, owner=UUID, name=one["name"])
            self.connection.secretDefineXML(about, 0).setValue(PASSPHRASE.encode(), 0)
            disks += SAFE.format(format=one["format"], path=one["path"], secret=secret, dev=dev)
        self.define(disks)
        return found

    @property
    def domain(self):
        return self.connection.lookupByUUIDString(UUID)

    def write(self, pattern: int, where: str, size: str) -> None:
        run("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} {where} {size}", str(self.root))

    def has(self, path: pathlib.Path, pattern: int, where: str, size: str) -> bool:
        command = ["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -P {pattern} {where} {size}", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "bytes at offset" in done.stdout, done
        return "verification failed" not in done.stdout

    def between(self, work) -> None:
        """Do something to the disk while the guest is off, and start it again; its checkpoints stay."""
        self.domain.destroy()
        work()
        self.domain.create()

    def item(self, name: str, **more) -> dict:
        instance = {"name": NAME, "uuid": UUID, "image": {"name": "halt", "properties": {"hw_disk_bus": "virtio"}}}
        return {"name": name, "instance": instance, "kind": "full", "quiesce": False, "volume": "root", **more}

    def back_up(self, name: str, **more):
        return backup.provide(self.connection, self.item(name, **more), self.backups)

    def stray(self) -> list[str]:
        places = (self.snapshots.directory, self.backups.directory, self.backups.run_dir)
        instances = [self.item("x")["instance"]]
        return inventory.stray_files(*places) + inventory.stray_jobs(self.connection, instances, *places)

    def chain(self) -> list:
        return backup_job.chain(self.domain, [str(self.base)])


def locked(path: pathlib.Path, disk_format: str, command: str, key: str = PASSPHRASE) -> bool:
    """Return whether qemu-io can do something to an encrypted file with this passphrase."""
    driver = "luks,key-secret=key" if disk_format == "raw" else "qcow2,encrypt.key-secret=key"
    options = f"driver={driver},file.driver=file,file.filename={path}"
    argv = ["qemu-io", "--object", "secret,id=key,file=/dev/stdin", "-c", command, "--image-opts", options]
    done = subprocess.run(argv, input=key, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "verification failed" not in done.stdout


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wipe(connection) -> None:
    for domain in connection.listAllDomains():
        if domain.UUIDString() == UUID:
            if domain.isActive():
                domain.destroy()
            domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA)
    for secret in connection.listAllSecrets(0):
        if secret.usageID().startswith(f"virtfleet:{UUID}/"):
            secret.undefine()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A passphrase is stretched for ten milliseconds."""
    monkeypatch.setattr(qcow2, "LUKS", ["-o", qcow2.LUKS[1] + ",encrypt.iter-time=10"])
    monkeypatch.setattr(raw, "LUKS", ["luks", "-o", raw.LUKS[2] + ",iter-time=10"])
    monkeypatch.setattr(luks, "OPTIONS", luks.OPTIONS + ",iter-time=10")


@pytest.fixture
def world():
    connection = libvirt.open(URI)
    wipe(connection)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vfk-", dir="/var/lib"))  # QEMU's user has to get there
    folder.chmod(0o711)
    one = World(folder, connection)
    one.make()
    yield one
    wipe(connection)
    connection.close()
    shutil.rmtree(folder)


def test_a_snapshot_lies_on_nothing_and_changes_nothing(world):
    before = world.chain()
    assert snapshot.look(world.item("golden"), world.snapshots).changed
    made = snapshot.provide(world.connection, world.item("golden"), world.snapshots)
    path = pathlib.Path(made.facts["path"])
    assert made.changed and made.facts["image"]["url"] == f"file://{path}" and not made.facts["quiesced"]
    assert made.facts["image"]["properties"] == {"hw_disk_bus": "virtio"} and made.facts["image"]["min_disk_gb"] == 8
    again = snapshot.provide(world.connection, world.item("golden"), world.snapshots)
    assert not again.changed and again.facts == made.facts
    assert (world.chain(), world.stray(), os.stat(path).st_mode & 0o777) == (before, [], 0o600)
    assert world.has(path, 7, "1M", "8M") and "backing" not in run("qemu-img", "info", str(path))
    with pytest.raises(ItemError, match="has no volume 'data': it has root"):
        snapshot.provide(world.connection, world.item("other", volume="data"), world.snapshots)
    assert snapshot.withdraw("golden", world.snapshots).changed and not path.exists()
    assert not snapshot.withdraw("golden", world.snapshots).changed


def test_backups_are_restored_as_of_their_moment(world):
    before = world.chain()
    assert world.back_up("b1").facts["kind"] == "full"
    assert not world.back_up("b1").changed
    world.between(lambda: world.write(9, "32M", "1M"))  # the bitmap of the checkpoint is in the disk
    second = world.back_up("b2", kind="incremental")
    third = world.back_up("b3", kind="incremental")
    assert (second.facts["kind"], third.facts["kind"], third.facts["parent"]) == ("incremental", "incremental", "b2")
    assert (world.chain(), world.stray(), backup_job.checkpoints(world.domain)) == (before, [], ["virtfleet-b3"])
    with pytest.raises(ItemError, match="backup b2 is needed by b3: delete that first"):
        backup.withdraw(world.item("b2"), world.backups)
    with pytest.raises(ItemError, match="runs: stop it first"):
        restore.provide(world.connection, world.item("b1"), world.backups)
    world.domain.destroy()
    for name, has_it in (("b1", False), ("b3", True)):
        assert restore.look(world.connection, world.item(name), world.backups).changed
        assert restore.provide(world.connection, world.item(name), world.backups).changed
        assert not restore.provide(world.connection, world.item(name), world.backups).changed
        assert world.has(world.root, 7, "1M", "8M") and world.has(world.root, 9, "32M", "1M") is has_it
    assert "backing" not in run("qemu-img", "info", str(world.root)) and backup_job.checkpoints(world.domain) == []
    world.domain.create()
    with pytest.raises(ItemError, match=r"does not count from the last backup b3 on.*take kind full, or auto"):
        world.back_up("b4", kind="incremental")
    with pytest.raises(ItemError, match="does not count from the last backup b3 on"):
        backup.look(world.connection, world.item("b4", kind="incremental"), world.backups)
    assert not list(world.store.glob("b4*"))
    made = world.back_up("b4", kind="auto")
    assert made.facts["kind"] == "full" and "does not count from the last backup b3" in made.facts["why_full"]
    assert world.back_up("b5", kind="auto").facts["kind"] == "incremental"


@pytest.mark.parametrize("running", [True, False])
def test_the_copy_of_an_encrypted_disk_is_encrypted_with_the_same_passphrase(world, running):
    files = world.encrypt()
    for path in files.values():
        assert locked(path, path.suffix[1:], "write -P 65 1M 64k")
    if running:
        world.domain.create()
    place = replace(world.backups, keys={} if running else {"safe": PASSPHRASE})
    assert backup.provide(world.connection, world.item("b1"), place).facts["kind"] == "full"
    for name in files:
        copy = world.store / f"b1@{name}.qcow2"
        assert locked(copy, "qcow2", "read -P 65 1M 64k") and not locked(copy, "qcow2", "read 1M 512", "something else")
    assert b"A" * 512 not in b"".join(path.read_bytes() for path in world.store.iterdir())
    if running:
        with pytest.raises(ItemError, match="disk safe-raw is no qcow2 file"):
            world.back_up("b2", kind="incremental")
        world.domain.destroy()
    for path in files.values():
        assert locked(path, path.suffix[1:], "write -P 66 1M 64k")
    with pytest.raises(ItemError, match="is encrypted: virtfleet_volume_keys has no safe"):
        restore.provide(world.connection, world.item("b1"), world.backups)
    place = replace(world.backups, keys={"safe": PASSPHRASE})
    assert restore.provide(world.connection, world.item("b1"), place).changed
    assert not restore.provide(world.connection, world.item("b1"), place).changed
    for path in files.values():
        assert locked(path, path.suffix[1:], "read -P 65 1M 64k") and b"A" * 512 not in path.read_bytes()
    assert world.has(world.root, 7, "1M", "8M")
    world.domain.create()


def test_a_passphrase_that_libvirt_has_forgotten_is_brought_again(world):
    world.encrypt()
    world.domain.create()
    for one in ("safe-qcow2", "safe-raw"):
        world.connection.secretLookupByUUIDString(naming.volume_secret_id(UUID, one)).undefine()
    with pytest.raises(ItemError, match="Failed to start the backup"):
        world.back_up("b1")
    assert world.stray() == []
    assert backup.provide(world.connection, world.item("b1"), replace(world.backups, keys={"safe": PASSPHRASE})).changed


def test_an_encrypted_disk_becomes_an_image_in_clear_only_when_that_is_asked_for(world):
    world.encrypt()
    world.domain.create()
    item = world.item("golden", volume="safe-raw")
    with pytest.raises(ItemError, match="is encrypted, and a snapshot is an image in clear"):
        snapshot.provide(world.connection, item, world.snapshots)
    assert snapshot.provide(world.connection, {**item, "plain": True}, world.snapshots).changed


def test_a_damaged_backup_is_not_restored(world):
    world.back_up("b1")
    file = world.store / "b1@root.qcow2"
    with file.open("r+b") as stream:
        stream.seek(400000)
        stream.write(b"X")
    world.domain.destroy()
    before = os.stat(world.root)
    with pytest.raises(ItemError, match="was altered or is damaged"):
        restore.provide(world.connection, world.item("b1"), world.backups)
    assert os.stat(world.root) == before and not list(world.home.glob("*.new"))


def test_a_guest_that_is_off_is_copied_whole(world):
    world.domain.destroy()
    with pytest.raises(ItemError, match="the guest is off, and only a running one counts what it writes"):
        world.back_up("off", kind="incremental")
    assert (world.back_up("off", kind="auto").facts["kind"], world.stray()) == ("full", [])
    assert world.has(world.store / "off@root.qcow2", 7, "1M", "8M")


def test_what_a_killed_run_left_is_told_and_gone_after_the_next(world):
    child = os.fork()
    if not child:
        killed_in_the_middle(world)
    os.waitpid(child, 0)
    assert backup_job.written(world.domain) == [str(world.store / "killed@root.qcow2.new")]
    told = world.stray()
    assert len(told) == 2 and "no run waits for it" in told[0] and "checkpoint virtfleet-killed of no backup" in told[1]
    assert world.back_up("after").changed
    assert (world.stray(), backup_job.checkpoints(world.domain)) == ([], ["virtfleet-after"])
    assert sorted(path.name for path in world.store.iterdir()) == ["after.json", "after@root.qcow2"]
    (world.store / "b9@root.qcow2.new").write_text("half")
    os.utime(world.store / "b9@root.qcow2.new", (1, 1))
    assert len(world.stray()) == 1
    world.back_up("next")
    assert world.stray() == []


def killed_in_the_middle(world) -> None:
    """Be killed while libvirt copies, in another process; the job is slowed down so that it is still there."""
    qemu = pytest.importorskip("libvirt_qemu")

    def killed(domain):
        for job in json.loads(qemu.qemuMonitorCommand(domain, '{"execute": "query-block-jobs"}', 0))["return"]:
            slow = {"execute": "block-job-set-speed", "arguments": {"device": job["device"], "speed": 65536}}
            qemu.qemuMonitorCommand(domain, json.dumps(slow), 0)
        os.kill(os.getpid(), 9)

    try:
        backup_job._wait = killed
        origin = source.find(libvirt.open(URI), world.item("x")["instance"], world.backups)
        target = str(world.store / "killed@root.qcow2.new")
        source.copy(origin, {"root": target}, world.backups, checkpoint="virtfleet-killed")
    finally:
        os._exit(1)


def test_somebody_elses_chain_is_not_touched(world):
    foreign = world.home / "byhand.qcow2"
    words = ["snapshot-create-as", NAME, "byhand", "--disk-only", "--no-metadata", "--diskspec", f"vda,file={foreign}"]
    run("virsh", "-c", URI, *words, "--diskspec", "vdb,snapshot=no")
    with pytest.raises(ItemError, match="which is none of its images: somebody made a snapshot by hand"):
        world.back_up("b1")
    assert not list(world.store.glob("*"))


def test_without_an_agent_nothing_is_frozen_and_nothing_copied(world):
    began = time.monotonic()
    with pytest.raises(ItemError, match="quiesce needs the guest agent in the guest, or do without"):
        world.back_up("b1", quiesce=True)
    assert time.monotonic() - began < 10
    assert (world.stray(), not list(world.store.glob("*"))) == ([], True)
