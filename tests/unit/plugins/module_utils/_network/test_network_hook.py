# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook's code is complete, and the same each time."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.virtfleet.compute.plugins.module_utils._network import hook


def test_the_archive_runs_without_the_collection(tmp_path):
    archive = tmp_path / "hook.pyz"
    archive.write_bytes(hook.archive())
    code = "import sys; sys.path.insert(0, sys.argv[1]); from virtfleet._network.plug import replay; print(replay)"
    call = [sys.executable, "-I", "-S", "-c", code, str(archive)]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "function replay" in done.stdout, done.stderr


def test_the_archive_is_the_same_each_time():
    assert hook.archive() == hook.archive()


def test_the_script_is_shell(tmp_path):
    files = hook.wanted(str(tmp_path), "/var/lib/virtfleet", "/run/virtfleet", "/usr/bin/python3")
    script = files[hook.script_path(str(tmp_path))].decode()
    assert subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True, check=False).stderr == ""
    assert 'exec /usr/bin/python3 -I -S "/var/lib/virtfleet/port_hook.pyz"' in script
