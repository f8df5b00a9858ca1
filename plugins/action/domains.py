# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stage domain on a host."""

from __future__ import annotations

from ..plugin_utils._action import StageAction


class ActionModule(StageAction):
    """Runs the module domains."""

    def more(self, records, variables):
        """Return the passphrases of encrypted volumes: each host gets those of its own guests."""
        return self.keys_of(records, variables) if self._task.args.get("state") != "absent" else {}
