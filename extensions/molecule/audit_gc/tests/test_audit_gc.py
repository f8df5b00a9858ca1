# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was ours and left over is gone from the host, and everything of somebody else is there."""

import pytest

STATE = "/var/lib/virtfleet"
GONE = "aaaaaaaa-bbbb-4ccc-8ddd-000000000001"
FULL = "aaaaaaaa-bbbb-4ccc-8ddd-000000000002"


@pytest.fixture(autouse=True)
def littered(host):
    """Look at the host that had the litter."""
    if not host.backend.get_pytest_id().endswith("kvm2"):
        pytest.skip("nothing was left here")


def test_what_is_left_over_is_gone(host):
    assert not host.file(f"{STATE}/instances/{GONE}").exists
    assert not [name for name in host.file("/sys/class/net").listdir() if name in ("tapcccccccc111", "vf-old")]
    assert not [name for name in host.file(f"{STATE}/images").listdir() if name.endswith(".part")]
    assert host.check_output("virsh -q domstate running") == "running"
    assert len(host.file(f"{STATE}/ports").listdir()) == 1
    assert "tapaaaaaaaabbb" not in host.check_output("nft list ruleset")


def test_the_guest_that_runs_without_a_claim_was_not_touched(host):
    assert sorted(host.check_output("virsh -q list --all --name").split()) == ["running", "stranger"]


def test_what_is_not_ours_is_still_there(host):
    assert host.file(f"{STATE}/instances/notes/todo").content_string == "mine\n"
    assert host.file(f"{STATE}/instances/{FULL}/precious.txt").content_string == "precious\n"
    assert {"tap0", "br-other"} <= set(host.file("/sys/class/net").listdir())
    assert "table bridge other" in host.check_output("nft list tables")
    assert host.check_output("virsh -q secret-list").count("/srv/other.qcow2") == 1
    assert host.check_output("virsh -q secret-list").count("\n") == 0
