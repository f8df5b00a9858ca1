# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies on a host: whole or not there, and nothing of somebody else's is swept away."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._backups import store
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def record(folder, name, parent=""):
    path = folder / f"{name}@root.qcow2"
    path.write_bytes(b"disk")
    one = store.Copy("root", str(path), store.digest(path), 4, 2**20)
    made = store.Record(name, "web-1", "u", "2026-01-01 10:00:00", True, (one,), parent)
    store.keep(str(folder), made)
    return made


def test_a_record_comes_back(tmp_path):
    assert store.read(str(tmp_path), "b1") is None
    assert store.read(str(tmp_path), record(tmp_path, "b1").name) == record(tmp_path, "b1")
    assert os.stat(tmp_path / "b1.json").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("harm", ["gone", "longer", "link", "record"])
def test_what_is_not_whole_is_told(tmp_path, harm):
    record(tmp_path, "b1")
    file = tmp_path / "b1@root.qcow2"
    {
        "gone": file.unlink,
        "longer": lambda: file.write_bytes(b"disks"),
        "link": lambda: (file.unlink(), file.symlink_to("/etc/passwd")),
        "record": lambda: (tmp_path / "b1.json").write_text("{}"),
    }[harm]()
    with pytest.raises(ItemError, match="altered"):
        store.read(str(tmp_path), "b1")


def test_what_a_killed_run_left_is_swept_and_nothing_else(tmp_path):
    record(tmp_path, "b1")
    for name in ("b2@root.qcow2.new", "b2@root.qcow2", "b1.json.new", "b1-x@root.qcow2", "README"):
        (tmp_path / name).write_text("x")
    left = ["b1-x@root.qcow2", "b1.json.new", "b2@root.qcow2", "b2@root.qcow2.new"]
    assert store.unfinished(str(tmp_path)) == left == store.sweep(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["README", "b1.json", "b1@root.qcow2"]
    store.remove(str(tmp_path), "b1")
    assert os.listdir(tmp_path) == ["README"]
    store.remove(str(tmp_path / "nowhere"), "b1")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x.new", "x.json", "x" * 65, "a@b", None, 1])
def test_names_that_are_no_file_names_are_refused(name):
    with pytest.raises(ItemError, match="it must be letters, digits") as raised:
        store.checked_name(name)
    assert raised.value.fault == "request"


def test_a_copy_on_another_file_is_found_out(tmp_path):
    base, top = str(tmp_path / "base.qcow2"), str(tmp_path / "top.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", top], check=True)
    assert store.examined("root", base).virtual_size == 2**20
    assert store.examined("root", top, "base.qcow2").volume == "root"
    with pytest.raises(ItemError, match=r"lies on base\.qcow2, where nothing was expected"):
        store.examined("root", top)
