# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage port on a host."""

from __future__ import annotations

from ..plugin_utils._action import StageAction


class ActionModule(StageAction):
    """Runs the module ports."""

    def beside(self, args):
        """Say whether the host is to be told who is in the security groups that its rules name."""
        return bool((args.get("members") or {}).get("groups")) and args.get("state") != "absent"
