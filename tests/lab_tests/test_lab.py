# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab itself: hosts that are really apart, that can be hurt and healed, and of which nothing stays."""

from __future__ import annotations

import pathlib
import subprocess
import time

import pytest

from .conftest import ENVIRONMENT, NAME, ROOT


def test_hosts_are_apart(fleet):
    told = {
        host: fleet.lab("ssh", host, "hostname; cat /etc/machine-id; ls /dev/kvm 2>&1; ps -e | wc -l")
        for host in fleet.hosts
    }
    assert [text.split()[0] for text in told.values()] == list(fleet.hosts)
    assert len({text.split()[1] for text in told.values()}) == 3
    assert all("No such file" in text for text in told.values())
    assert all(int(text.split()[-1]) < 20 for text in told.values())
    fleet.lab("exec", "kvm1", "touch", "/root/mine")
    assert "mine" not in fleet.lab("exec", "kvm2", "ls", "/root") and not pathlib.Path("/root/mine").exists()


def test_each_host_has_a_libvirt_of_its_own(fleet):
    uuids = [fleet.lab("ssh", host, "virsh capabilities | grep -m1 uuid") for host in fleet.hosts]
    assert len(set(uuids)) == 3


def test_a_power_loss_takes_all_but_the_disk(fleet):
    fleet.lab("exec", "kvm3", "sh", "-c", "echo kept > /root/disk; echo gone > /run/memory")
    began = time.monotonic()
    fleet.lab("kill", "kvm3")
    assert time.monotonic() - began < 5
    assert "off" in fleet.lab("status")
    fleet.lab("boot", "kvm3")
    assert fleet.lab("exec", "kvm3", "cat", "/root/disk") == "kept\n"
    assert fleet.lab("exec", "kvm3", "sh", "-c", "ls /run/memory 2>&1; true").endswith("No such file or directory\n")


def test_a_host_is_cut_off_healed_frozen_and_thawed(fleet):
    def states():
        return [line.split()[2] for line in fleet.lab("status").splitlines()]

    fleet.lab("cut", "kvm2")
    fleet.lab("freeze", "kvm3")
    assert states() == ["up", "cut", "frozen"]
    fleet.lab("heal", "kvm2")
    fleet.lab("thaw", "kvm3")
    assert states() == ["up", "up", "up"]


@pytest.mark.parametrize(
    "name, net, reason",
    [
        ("vfother", None, "give this lab another /16"),
        (NAME, "10.94.0.0/16", "`lab down` removes it"),
    ],
)
def test_a_lab_where_another_is_is_refused(fleet, name, net, reason):
    environment = {**ENVIRONMENT, "LAB_NAME": name, "LAB_NET": net or ENVIRONMENT["LAB_NET"]}
    words = [ROOT / "tests/lab/lab", "up", "1"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and reason in done.stderr
    assert not pathlib.Path("/var/lib/virtfleet-lab/vfother").exists()


def test_a_daemon_that_is_killed_comes_back(fleet):
    fleet.lab("exec", "kvm2", "pkill", "-9", "-x", "libvirtd")
    end = time.monotonic() + 20
    while "libvirt" not in fleet.lab("exec", "kvm2", "sh", "-c", "virsh version 2>/dev/null; true"):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_an_unknown_host_is_a_sentence(fleet):
    done = subprocess.run(
        [ROOT / "tests/lab/lab", "kill", "kvm9"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"lab: lab {NAME} has no host kvm9, only kvm1, kvm2, kvm3\n"


def test_nothing_stays_of_a_lab():
    environment = {**ENVIRONMENT, "LAB_NAME": "vflgone", "LAB_NET": "10.79.0.0/16"}

    def lab(*words):
        return subprocess.run(
            [ROOT / "tests/lab/lab", *words], env=environment, capture_output=True, text=True, check=True
        )

    def traces():
        folders = pathlib.Path("/sys/fs/cgroup").glob("**/vflgone*")
        mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if "vflgone" in line]
        links = [path.name for path in pathlib.Path("/sys/class/net").glob("vflgone*")]
        kept = [
            path
            for path in ("/run/netns/vflgone-switch", "/var/lib/virtfleet-lab/vflgone")
            if pathlib.Path(path).exists()
        ]
        alive = [path for path in pathlib.Path("/proc").glob("[0-9]*/cgroup") if "vflgone" in text_of(path)]
        alive = [path for path in alive if ") Z" not in text_of(path.with_name("stat"))]
        return [*map(str, folders), *mounts, *links, *kept, *map(str, alive)]

    began = time.monotonic()
    lab("up", "2")
    assert time.monotonic() - began < 60
    assert len(traces()) > 3
    lab("kill", "kvm2")
    lab("down")
    assert traces() == []


def text_of(path: pathlib.Path) -> str:
    """Return what is in a file of a process, nothing if the process has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
