# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest image, booted for real by QEMU alone: both layouts of the config drive, none, and a broken one."""

from __future__ import annotations

import io
import json
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pytest
import yaml

from ansible_collections.virtfleet.compute.plugins.module_utils._guest import builder, probe, recipe
from ansible_collections.virtfleet.compute.plugins.module_utils._host import memory
from ansible_collections.virtfleet.compute.plugins.module_utils._model import os_release

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILES = ROOT / "roles" / "guest_image" / "files"
BUILT = pathlib.Path("/var/lib/virtfleet/guest")
SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources", "/etc/apt/sources.list")
MAC = "52:54:00:12:34:56"
# A TCG guest on a busy machine; alone it takes 6 s.
DEADLINE = 180

pytestmark = pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="needs qemu-system-x86_64")


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """Return the directory with the image of these sources: the host's own if it is the same, else a new one."""
    names = yaml.safe_load((ROOT / "roles" / "guest_image" / "vars" / "main.yml").read_text())["__guest_image_names"]
    files = {name: (FILES / name).read_text() for name in names}
    release = os_release.parse(pathlib.Path("/etc/os-release").read_text())
    wanted = recipe.recipe("virtfleet-guest", release, builder.host_sources(SOURCES), files)
    if builder.built(BUILT, "virtfleet-guest").get("digest") == recipe.digest(wanted):
        return BUILT
    directory = tmp_path_factory.mktemp("guest")
    builder.build(wanted, directory)
    return directory


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """Return the path of a private key; its public half is beside it."""
    path = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


class Machine:
    """A guest under plain QEMU with user networking, its SSH port forwarded."""

    def __init__(self, folder, image, key):
        self.folder, self.key = folder, key
        self.disk, self.console, self.monitor = folder / "disk.qcow2", folder / "console", folder / "monitor"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        base = ["-b", str(image / "virtfleet-guest.qcow2"), "-F", "qcow2", str(self.disk), "2G"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base], check=True)
        self.qemu = None

    def boot(self, drive=(), address=""):
        """Start it with these arguments for the config drive and return the fields of the ready marker."""
        self.console.write_text("")
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "192", "-nodefaults", "-display", "none", "-no-reboot"]
        argv += ["-drive", f"file={self.disk},if=virtio,format=qcow2", "-serial", f"file:{self.console}"]
        argv += ["-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-{address}:22"]
        argv += ["-device", f"virtio-net-pci,netdev=net,mac={MAC}", "-device", "virtio-rng-pci"]
        argv += ["-monitor", f"unix:{self.monitor},server=on,wait=off", *drive]
        self.qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        return dict(field.split("=", 1) for field in self.wait_for(r"VIRTFLEET-READY (.+)").split())

    def wait_for(self, pattern):
        """Return what the pattern's group matched on the console."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and self.qemu.poll() is None:
            if found := re.search(pattern + r"\r?\n", self.console.read_text(errors="replace")):
                return found.group(1).strip()
            time.sleep(0.1)
        raise AssertionError(f"no {pattern} on the console:\n{self.console.read_text(errors='replace')}")

    def ssh(self, command):
        """Return what the command printed in the guest."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=20"]
        argv = ["ssh", "-i", str(self.key), "-p", str(self.port), *(f"-o{option}" for option in options)]
        done = subprocess.run(
            [*argv, "root@127.0.0.1", command], capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip()

    def press_power(self):
        """Press the power button and return the seconds until the machine is off."""
        start = time.monotonic()
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self.monitor))
            monitor.sendall(b"system_powerdown\n")
            self.qemu.wait(DEADLINE)
        return time.monotonic() - start

    def end(self):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()


@pytest.fixture
def machine(tmp_path, image, key):
    guest = Machine(tmp_path, image, key)
    yield guest
    guest.end()


def vfat(folder, label, files):
    """Return the arguments for a vfat config drive on a virtio disk."""
    drive = folder / "drive.img"
    drive.write_bytes(bytes(1024 * 1024))
    subprocess.run(["mformat", "-i", str(drive), "-v", label, "::"], check=True)
    for name, text in files.items():
        path = folder / "drive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["mcopy", "-s", "-i", str(drive), *map(str, (folder / "drive").iterdir()), "::/"], check=True)
    return ["-drive", f"file={drive},if=virtio,format=raw,readonly=on"]


def iso(folder, label, files):
    """Return the arguments for an iso9660 config drive on a virtio-scsi CD-ROM."""
    pycdlib = pytest.importorskip("pycdlib")
    disc, made = pycdlib.PyCdlib(), set()
    disc.new(interchange_level=3, rock_ridge="1.09", joliet=3, vol_ident=label)
    for number, (name, text) in enumerate(files.items()):
        for parent in reversed(pathlib.PurePosixPath(f"/{name}").parents[:-1]):
            if parent not in made:
                made.add(parent)
                disc.add_directory(str(parent).upper(), rr_name=parent.name, joliet_path=str(parent))
        folder_name = str(pathlib.PurePosixPath(f"/{name}").parent).upper().rstrip("/")
        names = {"rr_name": name.rsplit("/", 1)[-1], "joliet_path": f"/{name}"}
        disc.add_fp(io.BytesIO(text.encode()), len(text.encode()), f"{folder_name}/F{number}.;1", **names)
    disc.write(str(folder / "drive.iso"))
    disc.close()
    drive = f"file={folder}/drive.iso,if=none,id=cd,format=raw,readonly=on"
    return ["-device", "virtio-scsi-pci", "-drive", drive, "-device", "scsi-cd,drive=cd"]


def nocloud(key, iid="web-1"):
    ethernet = {
        "match": {"macaddress": MAC},
        "mtu": 1400,
        "addresses": ["10.0.2.77/24"],
        "routes": [{"to": "0.0.0.0/0", "via": "10.0.2.2"}],
        "nameservers": {"addresses": ["10.0.2.3"]},
    }
    meta = {"instance-id": iid, "local-hostname": "web-1", "public-keys": [key.with_suffix(".pub").read_text().strip()]}
    return {
        "meta-data": json.dumps(meta),
        "network-config": json.dumps({"version": 2, "ethernets": {"eth0": ethernet}}),
        "user-data": "#!/bin/sh\necho from-user-data\nip route >/root/routes\necho ran >>/root/ran\n",
    }


def openstack(key):
    meta = {"uuid": "0f8a", "hostname": "db-1", "public_keys": {"ops": key.with_suffix(".pub").read_text().strip()}}
    network = {
        "links": [{"id": "tap1", "type": "phy", "ethernet_mac_address": MAC, "mtu": 1450}],
        "networks": [
            {
                "id": "net0",
                "link": "tap1",
                "type": "ipv4",
                "ip_address": "10.0.2.78",
                "netmask": "255.255.255.0",
                "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.2.2"}],
                "services": [{"type": "dns", "address": "10.0.2.3"}],
            }
        ],
        "services": [],
    }
    config = {
        "write_files": [{"path": "/etc/x/y", "content": "aGk=", "encoding": "b64", "permissions": "0600"}],
        "runcmd": ["echo from-runcmd", ["touch", "/root/a b"]],
    }
    top = "openstack/latest"
    return {
        f"{top}/meta_data.json": json.dumps(meta),
        f"{top}/network_data.json": json.dumps(network),
        f"{top}/user_data": "#cloud-config\n" + json.dumps(config),
    }


def test_nocloud_is_applied_and_stays_after_the_power_button(machine, tmp_path, key):
    drive = vfat(tmp_path, "cidata", nocloud(key))
    ready = machine.boot(drive, "10.0.2.77")
    assert {name: ready[name] for name in ("iid", "host", "ip", "ds", "new", "errors")} == {
        "iid": "web-1",
        "host": "web-1",
        "ip": "10.0.2.77",
        "ds": "nocloud",
        "new": "1",
        "errors": "0",
    }
    assert "from-user-data" in machine.console.read_text(errors="replace")
    assert machine.ssh("hostname; cat /root/ran /sys/class/net/eth0/mtu /etc/resolv.conf").splitlines() == [
        "web-1",
        "ran",
        "1400",
        "nameserver 10.0.2.3",
    ]
    assert "default via 10.0.2.2" in machine.ssh("cat /root/routes")
    assert int(machine.ssh("df -m / | awk 'END { print $2 }'")) > 1900
    assert machine.press_power() < 30
    again = machine.boot(drive, "10.0.2.77")
    assert (again["new"], again["ip"], machine.ssh("cat /root/ran")) == ("0", "10.0.2.77", "ran")


def test_openstack_is_applied_from_a_cdrom(machine, tmp_path, key):
    ready = machine.boot(iso(tmp_path, "config-2", openstack(key)), "10.0.2.78")
    assert (ready["iid"], ready["host"], ready["ip"], ready["ds"]) == ("0f8a", "db-1", "10.0.2.78", "openstack")
    assert ready["errors"] == "0"
    assert "from-runcmd" in machine.console.read_text(errors="replace")
    assert machine.ssh("cat /etc/x/y; stat -c %a /etc/x/y '/root/a b'").split() == ["hi600", "644"]
    assert machine.ssh("cat /sys/class/net/eth0/mtu; hostname").split() == ["1450", "db-1"]


def test_the_smallest_iso_is_seen(machine, tmp_path):
    drive = iso(tmp_path, "cidata", {"meta-data": '{"instance-id": "tiny", "local-hostname": "tiny"}'})
    ready = machine.boot(drive)
    assert (ready["iid"], ready["host"], ready["ip"], ready["ds"]) == ("tiny", "tiny", "10.0.2.15", "nocloud")


def test_without_a_drive_it_asks_dhcp(machine):
    ready = machine.boot()
    assert (ready["ds"], ready["ip"], ready["host"], ready["errors"]) == ("none", "10.0.2.15", "virtfleet", "0")


def test_a_broken_drive_is_told_and_does_not_hang(machine, tmp_path):
    broken = {"meta-data": "{", "network-config": "version: 2\n", "user-data": "#cloud-config\nruncmd: [reboot]\n"}
    ready = machine.boot(vfat(tmp_path, "cidata", broken))
    console = machine.console.read_text(errors="replace")
    assert (ready["ds"], ready["ip"], ready["errors"]) == ("nocloud", "10.0.2.15", "2")
    assert "VIRTFLEET-ERROR network configuration: " in console
    assert "VIRTFLEET-ERROR user data: the body of a #cloud-config must be JSON here" in console


def test_the_kernel_answers_the_probe(image):
    finding = probe.boots("tcg", memory.emulator(), image / "vmlinuz", image / "initrd", DEADLINE)
    assert finding.works, finding.reason


def test_the_probe_of_kvm_ends_by_its_deadline(image):
    start = time.monotonic()
    arguments = (memory.emulator(), memory.KVM, image / "vmlinuz", image / "initrd", 20)
    virt_type, reason = probe.find_virt_type(*arguments)
    assert virt_type in ("kvm", "qemu"), reason
    assert time.monotonic() - start < 20 + probe.TCG_DEADLINE
