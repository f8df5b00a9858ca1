# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines in the inventory that are no compute hosts: one clear sentence, and nothing is done to them."""

from __future__ import annotations

import re

import pytest

from .conftest import LIBVIRTD, instance

WEB = instance("web", count=4)
BINDING = "/usr/lib/python3/dist-packages/libvirt.py"
PYTHON = "/usr/bin/python3"
SENTENCES = {
    "no binding": "python3-libvirt is missing on this host: install the distribution's package (role compute_host "
    "does)",
    "no libvirtd": "libvirtd does not answer on qemu:///system: Failed to connect socket to "
    "'/var/run/libvirt/libvirt-sock': ",
    "no python": "module host_info broke off on the host (exit code 127) and said ",
}


def lose(fleet, what: str, host: str) -> None:
    """The host is as if role compute_host had never been there."""
    if what == "no binding":
        fleet.lab("exec", host, "mv", BINDING, f"{BINDING}.away")
    elif what == "no python":
        fleet.lab("exec", host, "mv", PYTHON, f"{PYTHON}.away")
    elif what == "no libvirtd":
        fleet.spoil(LIBVIRTD, host)
        fleet.lab("exec", host, "sh", "-c", "pkill -9 -x libvirtd; rm -f /run/libvirt/libvirt-sock")


def find(fleet, host: str) -> None:
    """The host is a compute host again."""
    fleet.lab("exec", host, "sh", "-c", f"while umount -l {LIBVIRTD} 2>/dev/null; do :; done")
    for file in (BINDING, PYTHON):
        fleet.lab("exec", host, "sh", "-c", f"test ! -e {file}.away || mv {file}.away {file}")
    fleet.lab("exec", host, "sh", "-c", "until virsh -q list >/dev/null 2>&1; do sleep 0.2; done")


def files(fleet, host: str) -> str:
    """Return all that the collection has on a host, with sizes and times, but for what a module run leaves nowhere."""
    return fleet.lab("exec", host, "sh", "-c", "find /var/lib/virtfleet /run/virtfleet -printf '%p %s %T@\\n' | sort")


@pytest.mark.parametrize("what", list(SENTENCES))
def test_one_among_others_is_passed_over(fleet, what):
    lose(fleet, what, "kvm3")
    try:
        before = files(fleet, "kvm3")
        run = fleet.boot(WEB)
        assert run.code == 0, run.output
        assert len(re.findall(f"kvm3 is (not used:|left out,) {re.escape(SENTENCES[what])}", run.output)) == 1, (
            run.output
        )
        assert {host for _state, host in run.states().values()} == {"kvm1", "kvm2"}
        assert files(fleet, "kvm3") == before
    finally:
        find(fleet, "kvm3")


@pytest.mark.parametrize("what", list(SENTENCES))
def test_where_no_host_is_one_nothing_is_done(fleet, what):
    for host in fleet.hosts:
        lose(fleet, what, host)
    try:
        before = [files(fleet, host) for host in fleet.hosts]
        run = fleet.boot(WEB)
        assert run.code != 0 and run.changed == 0, run.output
        assert f"no compute host answers, so nothing was done: kvm1: {SENTENCES[what]}" in run.output
        assert "Traceback" not in run.output
        assert [files(fleet, host) for host in fleet.hosts] == before
    finally:
        for host in fleet.hosts:
            find(fleet, host)
