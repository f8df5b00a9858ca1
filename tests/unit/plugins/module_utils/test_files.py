# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import threading
import time

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils import _files
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def test_a_file_is_replaced_whole_and_with_its_mode(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    (tmp_path / "file.new").symlink_to("/etc/passwd")
    _files.write_whole(str(path), b"new", 0o600)
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_a_lock_that_its_holder_removes_is_taken_anew(tmp_path):
    name, inside = str(tmp_path / "locks" / "one"), []

    def hold():
        with _files.locked(name):
            inside.append(1)
            time.sleep(0.01)
            inside.append(-1)
            os.unlink(name)

    threads = [threading.Thread(target=hold) for _number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == [1, -1] * 10


def test_a_lock_is_not_waited_for_longer_than_allowed(tmp_path):
    name = str(tmp_path / "one")
    with _files.locked(name) as held, _files.locked(name, time.monotonic() + 0.01) as again:
        assert held and not again


ONE, OTHER = "5f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b", "6f0c1a2b-3c4d-5e6f-8a9b-0c1d2e3f4a5b"


def test_runs_that_want_the_same_instances_take_turns_whatever_the_order(tmp_path):
    inside = []

    def work(order):
        for _time in range(20):
            with _files.instances_locked(str(tmp_path), [*order, "../no uuid", None]):
                inside.append(1)
                inside.append(-1)

    threads = [threading.Thread(target=work, args=[order]) for order in ([ONE, OTHER], [OTHER, ONE, ONE])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert inside == [1, -1] * 40
    assert sorted(os.listdir(tmp_path)) == [f"instance-{ONE}.lock", f"instance-{OTHER}.lock"]


def test_only_folders_of_instances_are_told(tmp_path):
    assert _files.instance_folders(str(tmp_path)) == []
    for name in (OTHER, ONE, "lost+found", ONE.upper()):
        (tmp_path / "instances" / name).mkdir(parents=True)
    assert _files.instance_folders(str(tmp_path)) == [ONE, OTHER]


def test_an_error_of_the_system_is_one_sentence(tmp_path):
    expected = r"it was not read: No such file or directory \(/.*/none\)"
    with pytest.raises(ItemError, match=expected), _files.plainly("it was not read"):
        os.stat(tmp_path / "none")


@pytest.mark.parametrize("size,words", [(20 * 2**30, "20 GiB"), (300 * 2**20, "300 MiB"), (1572864, "1.5 MiB")])
def test_sizes_as_people_say_them(size, words):
    assert _files.spoken(size) == words


def test_free_space_below_a_directory_that_is_not_there_yet(tmp_path):
    assert _files.free_bytes(str(tmp_path / "a" / "b")) > 0
