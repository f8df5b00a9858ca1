# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No host has anything of ours any more, beside the image cache."""

import pytest


def test_the_stranger_is_still_there_and_nobody_else(host):
    assert host.check_output("virsh -q list --all --name").split() == ["stranger"]


@pytest.mark.parametrize("folder", ["instances", "ports"])
def test_folders_are_empty(host, folder):
    assert host.file(f"/var/lib/virtfleet/{folder}").listdir() == []


def test_no_tap_and_no_rule_is_left(host):
    assert not [name for name in host.file("/sys/class/net").listdir() if name.startswith("tap")]
    assert "tap" not in host.check_output("nft list ruleset")


def test_the_image_cache_stays(host):
    assert host.file("/var/lib/virtfleet/images").listdir()
