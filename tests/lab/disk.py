# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on the disk of a new host, beside the common root file system: who it is and how it is reached."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from commands import run
from settings import Host, Lab

# A boot sector that halts the processor for good: a guest that runs and takes no processor time.
HALT = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"

SSHD = """PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
MaxStartups 100
MaxSessions 100
"""

LIBVIRTD = """host_uuid = "{uuid}"
auth_unix_ro = "none"
auth_unix_rw = "none"
"""

# No security driver of this machine knows what is in a host.
QEMU = """security_driver = "none"
migration_host = "{address}"
"""

HOSTS = """127.0.0.1 localhost
{controller} controller
"""


def prepare_lab(lab: Lab) -> None:
    """The lab has its SSH key and the folder that all hosts see."""
    lab.shared.mkdir(parents=True, exist_ok=True)
    (lab.folder / "hosts").mkdir(exist_ok=True)
    if not lab.key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab.name}", "-f", lab.key)
    image = lab.shared / "halt.raw"
    if not image.exists():
        content = HALT.ljust(1 << 20, b"\0")
        image.write_bytes(content)
        (lab.shared / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  halt.raw\n")


def install(host: Host, everyone: list[Host]) -> None:
    """The disk of the host knows its name, its keys and all hosts of the lab; an old disk keeps the rest of itself."""
    hosts = HOSTS.format(controller=host.lab.controller)
    hosts += "".join(f"{one.address} {one.name}.lab.test {one.name}\n" for one in everyone)
    _write(host, "etc/hosts", hosts)
    if (host.disk / "etc/hostname").exists():
        return
    _write(host, "etc/hostname", f"{host.name}\n")
    _write(host, "etc/machine-id", host.uuid.replace("-", "") + "\n")
    _write(host, "etc/resolv.conf", "")
    _write(host, "etc/ssh/sshd_config.d/lab.conf", SSHD)
    _write(host, "etc/libvirt/libvirtd.conf", LIBVIRTD.format(uuid=host.uuid))
    _write(host, "etc/libvirt/qemu.conf", QEMU.format(address=host.address), 0o600)
    _write(host, "root/.ssh/authorized_keys", host.lab.key.with_suffix(".pub").read_text(), 0o600)
    (host.disk / "root").chmod(0o700)
    (host.disk / "root/.ssh").chmod(0o700)
    run(
        "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", host.disk / "etc/ssh/ssh_host_ed25519_key"
    )


def _write(host: Host, name: str, text: str, mode: int = 0o644) -> None:
    """The file is on the disk of the host."""
    path = host.disk / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def host_key(host: Host) -> str:
    """Return the public key by which the host is known."""
    return (host.disk / "etc/ssh/ssh_host_ed25519_key.pub").read_text().strip()


def wipe(folder: Path) -> None:
    """The folder is gone; LabError of nobody if it was not there."""
    shutil.rmtree(folder, ignore_errors=True)
