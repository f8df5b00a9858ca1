# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host CPUs dedicated guest CPUs get."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.pinning import pin

CORES = [frozenset(core) for core in ((0, 4), (1, 5), (2, 6), (3, 7))]


@pytest.mark.parametrize(
    "free,wanted,reserved,policy,taken",
    [
        (range(8), 4, 0, None, {0, 4, 1, 5}),
        (range(8), 4, 0, "require", {0, 4, 1, 5}),
        (range(4), 2, 0, "require", None),
        (range(4), 2, 0, "prefer", {0, 1}),
        ((0, 4, 1), 3, 0, None, {0, 4, 1}),
        (range(8), 4, 1, None, {0, 4, 1, 5, 2}),
        (range(8), 8, 1, None, None),
        (range(8), 2, 0, "isolate", {0, 4, 1, 5}),
        ((0, 1, 2, 3), 1, 0, "isolate", None),
        (range(8), 3, 1, "isolate", set(range(8))),
        (range(8), 4, 1, "isolate", None),
        (range(8), 0, 0, None, set()),
    ],
)
def test_pin(free, wanted, reserved, policy, taken):
    assert pin(CORES, frozenset(free), wanted, reserved, policy, legacy=True) == taken


def test_isolate_needs_a_host_without_threads_or_one_set_for_all():
    assert pin(CORES, frozenset(range(8)), 1, 0, "isolate", legacy=False) is None
    single = [frozenset([cpu]) for cpu in range(4)]
    assert pin(single, frozenset(range(4)), 2, 0, "isolate", legacy=False) == {0, 1}
