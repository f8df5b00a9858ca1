# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two hosts that are up have one guest of before and one new one each, and the claim of the third stands."""

import pytest

CLAIMS = (
    "import sqlite3; c = sqlite3.connect('/var/lib/virtfleet/registry/registry.db'); "
    "print(c.execute(\"select count(*) from instances where host = 'kvm3' and state = 'active'\").fetchone()[0])"
)


@pytest.mark.parametrize("prefix", ["db-", "web-"])
def test_one_of_each_on_the_hosts_that_are_up(host, prefix):
    if host.backend.get_pytest_id().endswith("kvm3"):
        pytest.skip("this is the host that is down")
    assert len([name for name in host.check_output("virsh -q list --name").split() if name.startswith(prefix)]) == 1


def test_the_claim_on_the_host_that_is_down_stands(host):
    if not host.backend.get_pytest_id().endswith("kvm1"):
        pytest.skip("the registry is on kvm1")
    assert host.check_output("python3 -c %s", CLAIMS) == "1"
