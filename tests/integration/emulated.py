# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian in QEMU with systemd, its own kernel and a spare disk: what few of the machines that tests run on have.

Its apt has one source, a folder of its own with what roles install there.
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import time

from .cloud_image import image

PACKAGES = (
    *("lvm2", "thin-provisioning-tools", "qemu-utils", "e2fsprogs", "dosfstools"),
    *("libvirt-daemon-system", "qemu-system-x86", "python3-libvirt", "python3-lxml", "python3-apt", "kmod", "busybox"),
)
OFFERED = (
    *("openvswitch-switch", "ovn-host", "ovn-central", "openssl", "nftables", "conntrack", "dnsmasq-base", "xz-utils"),
    *("bzip2", "zstd", "mtools", "python3-sqlalchemy", "python3-pycdlib"),
)
DEADLINE = 900  # seconds on a busy machine; alone it takes one minute
USER_DATA = "#cloud-config\n{}\n"


class Machine:
    """A Debian that runs the scripts of the tests as root."""

    def __init__(self, folder: pathlib.Path, memory_mb: int = 1024):
        self.folder, self.key = folder, folder / "key"
        self.memory_mb, self.process = memory_mb, None
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        """It is up and takes commands."""
        base, root = image.ensure(PACKAGES, OFFERED), self.folder / "root.qcow2"
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(root), "4G"]
        subprocess.run(create, check=True)
        with (self.folder / "spare.raw").open("wb") as stream:
            stream.truncate(4 * 2**30)
        told = {"ssh_authorized_keys": [self.key.with_suffix(".pub").read_text().strip()]}
        seed = self._seed({"user-data": USER_DATA.format(json.dumps(told)), "meta-data": '{"instance-id": "emulated"}'})
        drives = ["-drive", f"file={root},if=virtio,format=qcow2", "-drive", f"file={seed},if=virtio,format=raw"]
        drives += ["-drive", f"file={self.folder / 'spare.raw'},if=virtio,format=raw,discard=unmap"]
        network = ["-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.port}-:22"]
        console = ["-display", "none", "-serial", f"file:{self.folder / 'console'}", "-monitor", "none"]
        small = ["-accel", "tcg,tb-size=128", "-m", str(self.memory_mb), "-smp", "1", "-device", "virtio-rng-pci"]
        self.process = subprocess.Popen(["qemu-system-x86_64", *small, *drives, *network, *console])
        self.until("cloud-init status --wait >/dev/null; true")

    def until(self, command: str) -> str:
        """Return what a command prints as soon as it does not fail."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                return self.run(command, DEADLINE)
            except (RuntimeError, subprocess.TimeoutExpired):
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(3)

    def reboot(self) -> None:
        """It has shut down as a host does, and is up again."""
        before = self.run("cat /proc/sys/kernel/random/boot_id").strip()
        self.run("systemd-run -q --on-active=1 systemctl reboot")
        self.until(f"test $(cat /proc/sys/kernel/random/boot_id) != {before}")
        self.run("systemctl is-system-running --wait >/dev/null || true", DEADLINE)

    def _seed(self, files: dict[str, str]) -> pathlib.Path:
        """Return a vfat disk that cloud-init reads."""
        seed, place = self.folder / "seed", self.folder / "files"
        place.mkdir()
        for name, text in files.items():
            (place / name).write_text(text)
        with seed.open("wb") as stream:
            stream.truncate(2**20)
        subprocess.run(["mformat", "-i", str(seed), "-v", "cidata", "::"], check=True)
        subprocess.run(["mcopy", "-i", str(seed), *map(str, place.iterdir()), "::"], check=True)
        return seed

    def run(self, command: str, timeout: float = 300, given: bytes = b"") -> str:
        """Return what a command of root prints; it must not fail."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"]
        options += ["ConnectTimeout=20", "IdentitiesOnly=yes"]
        argv = ["ssh", "-p", str(self.port), "-i", str(self.key), *(f"-o{one}" for one in options)]
        words = [*argv, "debian@127.0.0.1", f"sudo sh -ec {json.dumps(command)}"]
        done = subprocess.run(words, input=given, capture_output=True, check=False, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}: {(done.stdout + done.stderr).decode()}")
        return done.stdout.decode()

    def send(self, tree: pathlib.Path, target: str) -> None:
        """The machine has a copy of the tree."""
        packed = subprocess.run(["tar", "-C", str(tree), "-cf", "-", "."], capture_output=True, check=True).stdout
        self.run(f"mkdir -p {target}; tar -C {target} -xf -", given=packed)

    def stop(self) -> None:
        """Nothing of it runs any more."""
        if self.process:
            self.process.kill()
            self.process.wait()
        os.sync()
