# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests never noticed that the registry was gone."""


def test_two_guests_run_on_each_host(host):
    assert len(host.check_output("virsh -q list --name").split()) == 2
