# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that writes nothing for a moment, and surely writes again after it. Private to this collection."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .._model.errors import ItemError
from .connection import libvirt

LONGEST = 20  # seconds that a guest may be frozen
# A process of its own thaws the guest when we die, hang or lose libvirtd. It waits for our word on its input, whose end
# is our death, and no longer than a guest may be frozen.
GUARD = """
import select, sys, time
import libvirt
uri, uuid, longest = sys.argv[1], sys.argv[2], float(sys.argv[3])
print("ready", flush=True)
select.select([sys.stdin], [], [], longest)
word = sys.stdin.readline() if select.select([sys.stdin], [], [], 0)[0] else ""
end = time.monotonic() + 300
while word != "thawed\\n" and time.monotonic() < end:
    try:
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        connection = libvirt.open(uri)
        connection.lookupByUUIDString(uuid).fsThaw()
        break
    except libvirt.libvirtError as error:
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        ):
            break
        time.sleep(0.5)
"""


@contextlib.contextmanager
def frozen(domain: Any, uri: str, longest: float = LONGEST) -> Iterator[None]:
    """The file systems of the guest are consistent and nothing is written to them inside; then they are thawed."""
    command = [sys.executable, "-c", GUARD, uri, domain.UUIDString(), str(longest)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    # Not waited for: what it may still have to do is not our business once we have failed.
    guard = subprocess.Popen(command, start_new_session=True, **pipes)  # pylint: disable=consider-using-with
    if guard.stdout.readline() != "ready\n":
        raise ItemError(f"{domain.name()} was not frozen: nobody could be set to thaw it")
    try:
        domain.agentSetResponseTimeout(int(longest), 0)  # else libvirt would wait for ever for an agent that hangs
        domain.fsFreeze()
        yield
    except libvirt.libvirtError as error:
        raise ItemError(
            f"{domain.name()} cannot be frozen: {error.get_error_message()}; "
            "quiesce needs the guest agent in the guest, or do without"
        )
    finally:
        thaw(domain, guard)


def thaw(domain: Any, guard: Any) -> None:
    """The guest writes again, by us or else by its guard."""
    with contextlib.suppress(libvirt.libvirtError, OSError):
        domain.fsThaw()
        guard.stdin.write("thawed\n")
    with contextlib.suppress(OSError):
        guard.stdin.close()
        guard.stdout.close()
