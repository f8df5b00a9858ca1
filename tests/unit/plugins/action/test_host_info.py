# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host that cannot be asked."""

from __future__ import annotations

from ansible_collections.virtfleet.compute.plugins.action.host_info import cut_off, left_out


def test_a_host_that_cannot_be_reached_has_a_record_and_a_warning():
    result = left_out({"name": "far", "settings": {"availability_zone": "b"}}, cut_off("Task failed: no route"))
    record = result["host"]
    assert (record["name"], record["up"], record["availability_zone"]) == ("far", False, "b")
    assert record["disabled_reason"] == "it cannot be reached: no route"
    assert result["warnings"] == ["far is left out, it cannot be reached: no route"]
    assert result["changed"] is False and "failed" not in result


def test_a_connection_that_says_nothing():
    assert cut_off(" ") == "it cannot be reached: no reason was given"
