# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe of KVM says: from its console, from QEMU's words, and with a stand-in for QEMU."""

from __future__ import annotations

import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._guest import probe
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


@pytest.mark.parametrize(
    "console,errors,ended,works,reason",
    [
        ("VIRTFLEET-PROBE-OK 6.1.0\n", "", False, True, "ran in 2.0 seconds"),
        ("\r\n\x1bcVIRTFLEET\nVIRTFLEET-PROBE-OK 6.1.0\r\n", "a warning\n", True, True, "ran in 2.0 seconds"),
        ("", "", False, False, "nothing on its console after 2 seconds"),
        ("[0.0] Linux\n[0.1] booting\n", "", False, False, "ends with '[0.1] booting'"),
        ("", "qemu: a\nqemu: failed to initialize kvm\n\n", True, False, "QEMU ended: qemu: failed to initialize kvm"),
        ("", "", True, False, "QEMU ended: without a word"),
        ("Command line: VIRTFLEET-PROBE-OK\n", "", False, False, "a guest hangs"),
    ],
)
def test_the_verdict(console, errors, ended, works, reason):
    finding = probe.verdict(console, errors, ended, 2.0)
    assert (finding.works, reason in finding.reason) == (works, True), finding


def stand_in(tmp_path, kvm, tcg):
    """Return a program that takes QEMU's place and does the one or the other by its accelerator."""
    program = tmp_path / "qemu"
    program.write_text(f'#!/bin/sh\ncase "$2" in kvm) {kvm} ;; tcg) {tcg} ;; esac\n')
    program.chmod(0o755)
    for name in ("kvm", "vmlinuz", "initrd"):
        (tmp_path / name).touch()
    return str(program), str(tmp_path / "kvm"), tmp_path / "vmlinuz", tmp_path / "initrd"


OK = "echo VIRTFLEET-PROBE-OK 6.1.0; sleep 60"


def test_kvm_works(tmp_path):
    assert probe.find_virt_type(*stand_in(tmp_path, OK, "exit 1"), 20)[0] == "kvm"


def test_a_hanging_kvm_is_left_at_the_deadline(tmp_path):
    start = time.monotonic()
    virt_type, reason = probe.find_virt_type(*stand_in(tmp_path, "exec sleep 60", OK), 0.5)
    assert virt_type == "qemu"
    assert "a guest hangs" in reason
    assert time.monotonic() - start < 10


def test_a_refusing_kvm_is_quoted(tmp_path):
    virt_type, reason = probe.find_virt_type(*stand_in(tmp_path, "echo no access >&2; exit 1", OK), 20)
    assert virt_type == "qemu"
    assert "QEMU ended: no access" in reason


def test_a_broken_kernel_is_not_taken_for_a_broken_kvm(tmp_path):
    with pytest.raises(ItemError, match=r"neither with KVM .* nor with TCG"):
        probe.find_virt_type(*stand_in(tmp_path, "exit 1", "exit 1"), 20)


def test_without_the_device_nothing_is_booted(tmp_path):
    emulator, dummy, kernel, initrd = stand_in(tmp_path, "exit 1", "exit 1")
    assert probe.find_virt_type(emulator, str(tmp_path / "none"), kernel, initrd, 20)[0] == "qemu"


def test_without_a_kernel_the_way_out_is_said(tmp_path):
    emulator, kvm, kernel, initrd = stand_in(tmp_path, OK, OK)
    kernel.unlink()
    with pytest.raises(ItemError, match="run the role guest_image first"):
        probe.find_virt_type(emulator, kvm, kernel, initrd, 20)


def test_without_qemu_the_way_out_is_said(tmp_path):
    with pytest.raises(ItemError, match="no QEMU on this host"):
        probe.find_virt_type("", *stand_in(tmp_path, OK, OK)[1:], 20)
