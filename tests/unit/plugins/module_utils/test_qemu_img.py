# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.module_utils._qemu_img import run


def test_the_last_words_of_qemu_img_are_the_reason():
    with pytest.raises(ItemError, match="failed to look at it: Could not open '/nothing'") as raised:
        run(["info", "-f", "raw", "/nothing"], "look at it")
    assert "\n" not in str(raised.value)


def test_too_much_cpu_is_a_sentence(tmp_path):
    (tmp_path / "disk").write_bytes(os.urandom(2**20) * 100)
    convert = ["convert", "-c", "-f", "raw", "-O", "qcow2", f"{tmp_path}/disk", f"{tmp_path}/packed"]
    with pytest.raises(ItemError, match="failed to pack it: qemu-img used more than 1 s of CPU"):
        run(convert, "pack it", cpu_seconds=1)


@pytest.mark.parametrize("path,missing", [("", "prlimit"), ("prlimit", "qemu-img")])
def test_a_missing_tool_names_the_role_that_installs_it(tmp_path, monkeypatch, path, missing):
    if path:
        (tmp_path / path).symlink_to("/usr/bin/prlimit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ItemError, match=f"{missing} is not installed on this host: role compute_host"):
        run(["info"], "look")
