# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine lacks: the choice by system, packages, settings, directories, the Python."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._host import survey
from ansible_collections.virtfleet.compute.plugins.module_utils._model import os_release
from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError


def test_os_release_is_read_without_quotes():
    text = "# comment\nID=debian\nPRETTY_NAME=\"Debian '12'\"\nID_LIKE='a b'\n\nbroken\n"
    assert os_release.parse(text) == {"ID": "debian", "PRETTY_NAME": "Debian '12", "ID_LIKE": "a b"}


@pytest.mark.parametrize(
    "release,chosen",
    [
        ({"ID": "debian"}, "d"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "r"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "d"),
    ],
)
def test_the_nearest_system_is_chosen(release, chosen):
    assert survey.of_this_system({"debian": "d", "rhel": "r"}, release, "packages") == chosen


def test_an_unknown_system_is_named_with_the_way_out():
    with pytest.raises(ItemError, match="no packages are known for 'arch', only for debian: add an entry 'arch'"):
        survey.of_this_system({"debian": []}, {"ID": "arch"}, "packages")


def test_nothing_asked_for_is_nothing_missing():
    assert survey.of_this_system({}, {"ID": "arch"}, "packages") == []
    assert survey.missing_packages([]) == []


def test_removed_and_half_configured_packages_are_missing():
    listing = "jq installed\nmtools config-files\nlibc6 installed\nlibc6 installed\ndash half-configured\n"
    assert survey.dpkg_missing(["jq", "mtools", "dash", "none", "libc6"], listing) == ["mtools", "dash", "none"]


def test_rpm_says_what_nothing_provides():
    assert survey.rpm_missing(["qemu-kvm", "jq"], "qemu-kvm-core\nno package provides jq\n") == ["jq"]


CONF = '# user = "root"\nuser = "one"\nstdio_handler="logd"\nuser = "two"\n  max_files = 5\n'


@pytest.mark.parametrize(
    "wanted,missing",
    [
        ({}, {}),
        ({"user": '"one"', "stdio_handler": '"logd"', "max_files": "5"}, {}),
        ({"user": '"two"'}, {"user": '"two"'}),
        ({"group": '"kvm"'}, {"group": '"kvm"'}),
    ],
)
def test_the_first_line_of_a_setting_counts(wanted, missing):
    assert survey.missing_settings(CONF, wanted) == missing


def test_directories_with_another_mode_are_missing(tmp_path):
    good, open_, file = tmp_path / "good", tmp_path / "open", tmp_path / "file"
    good.mkdir(mode=0o755)
    open_.mkdir()
    open_.chmod(0o777)
    file.touch(mode=0o755)
    paths = [str(path) for path in (good, open_, file, tmp_path / "none")]
    assert survey.missing_directories(paths, "0755") == paths[1:]


def test_the_running_python_is_taken_if_it_has_the_modules():
    assert survey.interpreter(["json", "sqlite3"], candidates=()) == sys.executable


def test_another_python_is_asked_if_not(tmp_path):
    for name, status in (("without", 1), ("with", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    candidates = [str(tmp_path / name) for name in ("none", "without", "with")]
    assert survey.interpreter(["no_such_module_1"], candidates) == candidates[2]
    assert survey.interpreter(["no_such_module_1"], candidates[:2]) == ""
