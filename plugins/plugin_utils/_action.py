# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a stage on a host: one task that takes the records, runs the module and leaves the records. Private."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..module_utils._model.volume_keys import is_locked, needed
from ._ahead import wait
from ._stage import cut_off, here, lost, made, merged, to_make, to_unmake, unmade, why


class StageAction(ActionBase):
    """Runs the module of the same name.

    Without a list of instances of its own the task takes the records of the host from `virtfleet_here`, and registers
    them there for the next stage: nothing is templated on the way, which costs a second for a hundred of them.
    """

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def wanted(self, record):
        """Say whether this stage has something to do for a record that the run still works on."""
        return True

    def unwanted(self, record):
        """Say whether a record is to be taken back; a plan, in which something fails, has made nothing of it."""
        return to_unmake(record) and (record.get("todo") == "delete" or not self._task.check_mode)

    def more(self, records, variables):
        """Return further arguments of the module, which no task need say."""
        return {}

    def keys_of(self, records, variables):
        """Return the argument with the passphrases of the records' encrypted volumes; nothing where there are none."""
        if not any(is_locked(one) for record in records for one in record.get("volumes") or ()):
            return {}
        return {"keys": needed(records, self._templar.template(variables.get("virtfleet_volume_keys") or {}))}

    def beside(self, args):
        """Say whether this stage has something to do that is not about a record."""
        return False

    def run(self, tmp=None, task_vars=None):
        """Return what the module returned, its instances among all records of the host."""
        super().run(tmp, task_vars)
        args = self._task.args
        if args.get("instances") is not None or args.get("images") is not None:
            return self._execute_module(module_name=self._task.action, task_vars=task_vars)
        records = here(task_vars)
        away = args.get("state") == "absent"
        asked = [one for one in records if (self.unwanted(one) if away else to_make(one) and self.wanted(one))]
        if not asked and not self.beside(args):
            return {"changed": False, "skipped": True, **self.handed_on(records)}
        stage = self._task.action.rpartition(".")[2]
        wait(stage)
        try:
            result = self._execute_module(
                module_name=self._task.action,
                module_args={**args, **self.more(asked, task_vars), "instances": asked},
                task_vars=task_vars,
            )
        except AnsibleConnectionFailure as error:
            # What the module has done, or still does, nobody knows.
            return {"unreachable": True, "msg": str(error), "instances": cut_off(records, asked, stage)}
        told = result.get("instances")
        if told is None and not asked:
            return result
        if told is None:
            told = lost(asked, why(self._task.action, result))
        if not self._task.diff:
            result.pop("diff", None)
        done = self.handed_on(merged(records, told, unmade if away else made, stage))
        return {**result, **done, "asked": [one["uuid"] for one in asked]}

    def handed_on(self, records):
        """Return what the next stage finds."""
        return {"instances": records, "to_undo": any(map(self.unwanted, records))}
