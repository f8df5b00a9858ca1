# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host.json: when a finding holds, and what else stays in the file."""

from __future__ import annotations

import json

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._host import memory

NOW = {"kernel": "6.1", "emulator": "/usr/bin/qemu:1:2", "kvm_device": True}
KEPT = {**NOW, "virt_type_wanted": "auto", "virt_type": "qemu", "other": 1}


def test_a_finding_holds_while_nothing_changed():
    assert memory.remembered(KEPT, "auto", NOW) == "qemu"


@pytest.mark.parametrize("change", [{"kernel": "6.2"}, {"emulator": "/usr/bin/qemu:1:3"}, {"kvm_device": False}])
def test_a_change_of_the_host_ends_it(change):
    assert memory.remembered(KEPT, "auto", {**NOW, **change}) == ""


@pytest.mark.parametrize("kept", [{}, {"virt_type": "kvm"}, {**KEPT, "virt_type_wanted": "qemu"}])
def test_what_was_not_found_out_is_not_remembered(kept):
    assert memory.remembered(kept, "auto", NOW) == ""


def test_what_is_asked_for_holds_on_any_host():
    kept = {"virt_type_wanted": "kvm", "virt_type": "kvm"}
    assert memory.remembered(kept, "kvm", NOW) == "kvm"
    assert memory.remembered(kept, "qemu", NOW) == ""


def test_saving_keeps_what_others_wrote(tmp_path):
    (tmp_path / "host.json").write_text(json.dumps({"theirs": 1, "kernel": "old"}))
    memory.save(str(tmp_path), {"kernel": "new"})
    assert memory.load(str(tmp_path)) == {"theirs": 1, "kernel": "new"}
    assert [path.name for path in tmp_path.iterdir()] == ["host.json"]


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_an_unreadable_file_is_no_memory(tmp_path, text):
    (tmp_path / "host.json").write_text(text)
    assert memory.load(str(tmp_path)) == {}


@pytest.mark.parametrize("mode,closed", [(0o600, True), (0o640, True), (0o660, False), (0o666, False)])
def test_a_device_is_closed_if_its_group_may_not_use_it(tmp_path, mode, closed):
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(mode)
    assert memory.kvm_closed(str(device)) is closed


def test_no_device_is_not_closed(tmp_path):
    assert not memory.kvm_closed(str(tmp_path / "none"))
