# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of an image: what counts as built, what is removed, which mirrors are taken."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._guest import builder, disk, tools, trees
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def fill(directory, *leave_out):
    for name in ("build.json", *builder.products("guest")):
        if name not in leave_out:
            (directory / name).write_text(json.dumps({"digest": "d"}))


def test_a_whole_image_is_known(tmp_path):
    fill(tmp_path)
    assert builder.built(tmp_path, "guest") == {"digest": "d"}


@pytest.mark.parametrize("missing", ["build.json", "guest.qcow2", "vmlinuz", "initrd", "SHA256SUMS"])
def test_an_image_with_a_file_missing_counts_as_not_built(tmp_path, missing):
    fill(tmp_path, missing)
    assert builder.built(tmp_path, "guest") == {}


@pytest.mark.parametrize("text", ["", "[]", "{broken"])
def test_an_unreadable_record_counts_as_not_built(tmp_path, text):
    fill(tmp_path)
    (tmp_path / "build.json").write_text(text)
    assert builder.built(tmp_path, "guest") == {}


def test_removing_takes_only_our_files(tmp_path):
    fill(tmp_path, "initrd")
    (tmp_path / "theirs").touch()
    builder.remove(tmp_path, "guest")
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_removing_the_last_file_removes_the_directory(tmp_path):
    directory = tmp_path / "guest"
    directory.mkdir()
    fill(directory)
    builder.remove(directory, "guest")
    assert not directory.exists()


def test_only_old_work_of_killed_builds_is_removed(tmp_path):
    for name in (".build-old", ".build-new"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".build-old", (0, 0))
    builder.remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".build-new"]


def test_the_first_list_with_a_mirror_is_taken(tmp_path):
    empty, deb822 = tmp_path / "sources.list", tmp_path / "debian.sources"
    empty.write_text("# see debian.sources\n")
    deb822.write_text("Types: deb\nURIs: http://mirror.example/debian\n")
    assert builder.host_sources([str(tmp_path / "none"), str(empty), str(deb822)]) == (str(deb822),)
    assert builder.host_sources([str(empty)]) == ()


def test_a_missing_tool_is_named():
    with pytest.raises(ItemError, match="needs no-such-tool-1 on the host"):
        tools.require(["sh", "no-such-tool-1"])


def test_a_failing_tool_is_quoted():
    with pytest.raises(ItemError, match=r"sh failed with status 3: bad luck"):
        tools.run(["sh", "-c", "echo bad luck >&2; exit 3"])


def test_scripts_become_executable_and_other_files_do_not(tmp_path):
    trees.own_files(tmp_path, {"root/etc/run": "#!/bin/sh\n", "root/etc/hostname": "x\n", "boot/a": ""}, "root/")
    assert (tmp_path / "etc/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "etc/hostname").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "a").exists()


def test_a_file_is_found_with_and_without_merged_usr(tmp_path):
    for place in ("bin/busybox", "usr/sbin/resize2fs"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    assert trees.find(tmp_path, "usr/bin/busybox") == tmp_path / "bin/busybox"
    assert trees.find(tmp_path, "sbin/resize2fs") == tmp_path / "usr/sbin/resize2fs"
    with pytest.raises(ItemError, match="no usr/bin/jq"):
        trees.find(tmp_path, "usr/bin/jq")


def test_the_size_counts_whole_blocks(tmp_path):
    (tmp_path / "one").write_bytes(b"x")
    assert disk.content_size(tmp_path) == 8192
