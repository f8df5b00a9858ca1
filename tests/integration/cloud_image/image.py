# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian cloud image of the distribution's own packages, built once and kept: what cannot be downloaded everywhere.

It has what Debian's genericcloud image has for its first boot: the cloud kernel, cloud-init, netplan over
systemd-networkd and systemd-resolved, and the guest agent. Run as a program it builds the image and prints its path.
"""

from __future__ import annotations

import fcntl
import hashlib
import pathlib
import shutil
import subprocess
import tempfile

CACHE = pathlib.Path("/var/cache/virtfleet-cloud-image")
SUITE = "bookworm"
PACKAGES = (
    *(
        "linux-image-cloud-amd64",
        "systemd-sysv",
        "dbus",
        "udev",
        "initramfs-tools",
        "lz4",
        "grub-pc-bin",
        "grub-common",
    ),
    *("cloud-init", "cloud-guest-utils", "netplan.io", "systemd-resolved", "qemu-guest-agent", "openssh-server"),
    *("sudo", "iproute2", "e2fsprogs", "python3", "ca-certificates"),
)
UNWANTED = ("doc", "info", "locale", "man")
TOOLS = ("mmdebstrap", "mke2fs", "sfdisk", "qemu-img")
MIB = 2**20
START = 1  # MiB: before it GRUB, and the partition behind it
FILES = {
    "etc/fstab": "LABEL=cloudroot / ext4 rw,discard,errors=remount-ro 0 1\n",
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
    "etc/initramfs-tools/conf.d/speed": "COMPRESS=lz4\n",
    # An emulated processor takes a minute for what these would do, and no test is about them.
    "etc/cloud/cloud.cfg.d/95_test.cfg": (
        # Debian's own images say the last two.
        "ssh_genkeytypes: [ed25519]\nlocale: C.UTF-8\nmanage_etc_hosts: true\napt: {preserve_sources_list: true}\n"
    ),
    "boot/grub/grub.cfg": (
        "linux /vmlinuz root=LABEL=cloudroot ro console=tty0 console=ttyS0,115200\ninitrd /initrd.img\nboot\n"
    ),
}
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "man-db.timer", "e2scrub_all.timer", "fstrim.timer")
GRUB = (
    "grub-mkimage -O i386-pc -o /boot/grub/core.img -p '(hd0,msdos1)/boot/grub' biosdisk part_msdos ext2 linux normal"
)
# What runs inside the new system, as the package maintainers' scripts have left it.
FINISH = f"""set -e
systemctl enable systemd-networkd systemd-resolved >/dev/null 2>&1
systemctl mask {" ".join(MASKED)} >/dev/null 2>&1
ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
passwd -q -l root
update-initramfs -u >/dev/null
{GRUB}
cp /usr/lib/grub/i386-pc/boot.img /boot/grub/boot.img
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
truncate -s 0 /etc/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/*
"""


# Packages that lie there with all that they need and are not installed: an emulated machine may reach no mirror.
OFFER = 'install -qq -y --no-install-recommends --download-only -o "Dir::Cache::archives=$1/srv/packages"'
INDEX = """set -e
cd /srv/packages
rm -rf partial lock
for one in *.deb; do
    dpkg-deb -f $one
    echo "Filename: ./$one\\nSize: $(stat -c %s $one)\\nSHA256: $(sha256sum $one | cut -c 1-64)\\n"
done >Packages
rm -f /etc/apt/sources.list.d/*
echo 'deb [trusted=yes] file:/srv/packages ./' >/etc/apt/sources.list
"""


def wanted(more: tuple[str, ...] = (), offered: tuple[str, ...] = ()) -> pathlib.Path:
    """Return where the image with more packages is or will be; other inputs are another image."""
    inputs = repr((SUITE, (*PACKAGES, *more), UNWANTED, sorted(FILES.items()), FINISH, 1))
    inputs += repr((offered, OFFER, INDEX)) if offered else ""
    kind = "host" if more else "debian"
    return CACHE / f"{kind}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}.qcow2"


def ensure(more: tuple[str, ...] = (), offered: tuple[str, ...] = ()) -> pathlib.Path:
    """The image with these packages beside its own, and those for its apt to install, is there; return its path."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        target = wanted(more, offered)
        if not target.exists():
            build(target, more, offered)
    return target


def build(target: pathlib.Path, more: tuple[str, ...], offered: tuple[str, ...]) -> None:
    """Leave the image at the path; what a build that was killed has left is removed first."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)} (packages mmdebstrap e2fsprogs fdisk qemu-utils)")
    for stale in CACHE.glob("build-*"):
        shutil.rmtree(stale)
    for old in CACHE.glob(f"{target.name.partition('-')[0]}-*.qcow2*"):
        old.unlink()
    work = pathlib.Path(tempfile.mkdtemp(prefix="build-", dir=CACHE))
    try:
        unpack(work / "root", more, offered)
        disk = write_disk(work / "root", work / "disk")
        unfinished = target.with_suffix(".qcow2.new")
        zstd = ["-c", "-o", "compression_type=zstd"]
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *zstd, str(disk), str(unfinished))
        unfinished.chmod(0o444)
        unfinished.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def unpack(root: pathlib.Path, more: tuple[str, ...], offered: tuple[str, ...]) -> None:
    """Leave a system with the packages installed in the directory."""
    root.mkdir(mode=0o755)
    for name, text in FILES.items():
        path = root.parent / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    script = root.parent / "files" / "finish"
    script.write_text((INDEX if offered else "") + FINISH)
    options = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNWANTED]
    options += ["--variant=minbase", "--mode=root", f"--include={','.join((*PACKAGES, *more))}"]
    options += [f"--essential-hook=copy-in {root.parent}/files/etc {root.parent}/files/boot /"]
    options += [f"--customize-hook=copy-in {root.parent}/files/etc {root.parent}/files/boot {script} /"]
    if offered:
        fetch = f"APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get {OFFER}"
        options += [f'--customize-hook=mkdir -p "$1/srv/packages/partial"; {fetch} {" ".join(offered)} >/dev/null']
    options += ['--customize-hook=chroot "$1" sh /finish', '--customize-hook=rm "$1/finish"']
    run("mmdebstrap", "--quiet", *options, SUITE, str(root))


def write_disk(root: pathlib.Path, disk: pathlib.Path) -> pathlib.Path:
    """Write a disk with GRUB before its one partition, whose file system holds the tree; nothing is mounted."""
    used = sum(-(-path.lstat().st_size // 4096) * 4096 + 512 for path in root.rglob("*")) // MIB
    size = int(used * 1.15) + 96
    with disk.open("wb") as stream:
        stream.truncate((START + size) * MIB)
    layout = f"label: dos\nstart={START}MiB, size={size}MiB, type=83, bootable\n"
    run("sfdisk", "-q", str(disk), stdin=layout)
    grub = root / "boot" / "grub"
    with disk.open("r+b") as stream:
        stream.write((grub / "boot.img").read_bytes()[:440])
        stream.seek(512)
        stream.write((grub / "core.img").read_bytes())
    options = ["-q", "-F", "-t", "ext4", "-L", "cloudroot", "-m", "0", "-E", f"offset={START * MIB}", "-d", str(root)]
    run("mke2fs", *options, str(disk), f"{size}M")
    return disk


def run(*command: str, stdin: str = "") -> None:
    """Run a command; what it said is the error."""
    done = subprocess.run(
        command, input=stdin, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:1])} failed: {done.stdout[-2000:]}")


if __name__ == "__main__":
    print(ensure())
