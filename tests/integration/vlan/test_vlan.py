# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of stage port on Debian's own kernel, in an emulated machine: VLANs and connections tracked by bridges.

    sudo .venv/bin/pytest -v tests/integration/vlan

The kernel of a development machine may have neither. The machine has the root file system of the lab, the kernel of
Debian's cloud images and this clone; it runs the tests of tests/integration/port that are about the kernel.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/lab"))
import rootfs  # noqa: E402 - the lab is no package

KERNEL = "linux-image-cloud-amd64"
DISK_DRIVERS = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk")
MODULES = "8021q br_netfilter nf_conntrack_bridge nf_tables veth tun vxlan ifb sch_tbf sch_ingress cls_u32 act_mirred"
LIBRARIES = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments")
HEAVY = (
    "usr/share",
    "usr/lib/x86_64-linux-gnu/qemu",
    "usr/lib/ipxe",
    "usr/lib/gcc",
    "boot",
    "var/cache",
    "var/lib/apt",
)
# What of stage port the kernel decides. In an emulated machine each takes ten times what it takes outside.
TESTS = (
    "tests/integration/port/test_bridge.py "
    "tests/integration/port/test_frames.py "
    "tests/integration/port/test_delta.py::test_changed_in_place_is_as_loaded_at_once "
    "tests/integration/port/test_groups.py "
    "tests/integration/port/test_qos.py::test_both_directions_are_limited_changed_in_place_and_lifted"
)
LEFT_OUT = "acknowledgement or reloads"  # of tcpdump, which is not there, and of how fast this machine is
INITRD = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /modules/$module.ko; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /virtfleet-test
"""
INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1 ANSIBLE_LOCAL_TEMP=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
ip link set lo up
for module in {modules}; do busybox modprobe $module; done
cd /clone && PYTHONPATH=/libraries:/clone/collections python3 -m pytest -q -rs --color=no \\
    -p no:cacheprovider -c /dev/null --rootdir /clone -k 'not ({left_out})' {tests} 2>&1
echo "EXIT $? $(uname -r)"
busybox poweroff -f
"""


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, **more).stdout


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    """The unpacked package of the kernel."""
    folder = tmp_path_factory.mktemp("kernel")
    package = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", KERNEL))[1]
    run("apt-get", "download", "-q", package, cwd=folder)
    run("dpkg-deb", "-x", str(next(folder.glob("*.deb"))), str(folder / "tree"))
    return folder / "tree"


def initrd(folder, kernel):
    """Return the file of what mounts the disk: busybox and the drivers of the disk."""
    tree = folder / "initrd"
    for place in ("bin", "modules", "dev", "root"):
        (tree / place).mkdir(parents=True)
    busybox = rootfs.path() / "usr/bin/busybox"
    shutil.copy(busybox, tree / "bin/busybox")
    for library in re.findall(r"(/\S+) \(0x", run("chroot", str(rootfs.path()), "/usr/bin/ldd", "/usr/bin/busybox")):
        (tree / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy((rootfs.path() / library[1:]).resolve(), tree / library[1:])
    for name in DISK_DRIVERS:
        shutil.copy(next(kernel.rglob(f"{name}.ko")), tree / "modules")
    (tree / "init").write_text(INITRD.format(modules=" ".join(DISK_DRIVERS)))
    (tree / "init").chmod(0o755)
    image = folder / "initrd.img"
    run("sh", "-c", f"cd {tree} && find . | cpio -o -H newc --quiet > {image}")
    return image


def disk(folder, kernel):
    """Return the image of the root file system: the lab's, with the modules, this clone and pytest."""
    upper, work, tree = (folder / name for name in ("upper", "work", "tree"))
    for one in (upper, work, tree):
        one.mkdir()
    run("mount", "-t", "tmpfs", "vfv", str(folder / "upper"))
    (upper / "u").mkdir()
    (upper / "w").mkdir()
    places = f"lowerdir={rootfs.path()},upperdir={upper}/u,workdir={upper}/w"
    run("mount", "-t", "overlay", "vfv", "-o", places, str(tree))
    try:
        for one in HEAVY:
            shutil.rmtree(tree / one, ignore_errors=True)
        shutil.copytree(kernel / "lib/modules", tree / "usr/lib/modules", dirs_exist_ok=True)
        run("depmod", "-b", str(tree), os.listdir(kernel / "lib/modules")[0])
        (tree / "usr/sbin/modprobe").unlink(missing_ok=True)
        (tree / "usr/sbin/modprobe").symlink_to("/usr/bin/busybox")
        for one in ("plugins", "tests/integration", "galaxy.yml"):
            copy = shutil.copytree if (ROOT / one).is_dir() else shutil.copy
            (tree / "clone" / one).parent.mkdir(parents=True, exist_ok=True)
            copy(ROOT / one, tree / "clone" / one)
        (tree / "clone/tests/integration/conftest.py").unlink()  # of the tests with guests
        link = tree / "clone/collections/ansible_collections/virtfleet/compute"
        link.parent.mkdir(parents=True)
        link.symlink_to("/clone")
        packages = pathlib.Path(pytest.__file__).parents[1]
        for one in LIBRARIES:
            shutil.copytree(packages / one, tree / "libraries" / one)
        shutil.copy(packages / "py.py", tree / "libraries")
        script = INIT.format(modules=MODULES, tests=TESTS, left_out=LEFT_OUT)
        (tree / "virtfleet-test").write_text(script)
        (tree / "virtfleet-test").chmod(0o755)
        image = folder / "disk.img"
        run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), "900M")
        return image
    finally:
        run("umount", "-l", str(tree))
        run("umount", "-l", str(upper))


def test_the_tests_of_stage_port_pass_on_debians_kernel(kernel, tmp_path):
    rootfs.ensure()
    words = ["qemu-system-x86_64", "-machine", "pc,accel=tcg", "-cpu", "max", "-m", "1024", "-smp", "2", "-nodefaults"]
    words += ["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(next(kernel.glob("boot/vmlinuz-*")))]
    words += ["-initrd", str(initrd(tmp_path, kernel)), "-append", "console=ttyS0 quiet panic=-1 net.ifnames=0"]
    words += ["-drive", f"file={disk(tmp_path, kernel)},if=virtio,format=raw,snapshot=on"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as machine:
        said = []
        for line in machine.stdout:
            said.append(line)
            print(line, end="", flush=True)
    output = "".join(said)
    assert re.search(r"EXIT 0 \S+-cloud-amd64", output), output[-3000:]
    assert "this kernel has no VLANs" not in output
