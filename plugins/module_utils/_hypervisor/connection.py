# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to libvirt, its errors in our words, and what is asked of all domains at once. Private."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .._model.errors import ItemError

try:
    import libvirt
except ImportError:  # said in one sentence by `connect`, so that the modules can at least be imported
    libvirt = None

SYSTEM = "qemu:///system"
# libvirt's states in Nova's words (nova/compute/power_state.py), by number: BLOCKED runs, SHUTOFF is shutdown.
POWER_STATES = ("nostate", "running", "running", "paused", "shutdown", "shutdown", "crashed", "suspended")


def silent(_context: Any, _error: Any) -> None:
    """Print nothing: libvirt would write every error to standard error, beside raising it."""


@contextlib.contextmanager
def failing_to(what: str) -> Iterator[None]:
    """Turn libvirt's error into "Failed to <verb> <thing>: <libvirt's words>"."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise ItemError(f"Failed to {what}: {error.get_error_message() or error}")


def is_gone(error: Any) -> bool:
    """Say whether libvirt's error means that the domain does not exist (any more)."""
    return error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN


@contextlib.contextmanager
def connect(uri: str = SYSTEM) -> Iterator[Any]:
    """Hold an open connection; a libvirtd that does not answer is one sentence."""
    if libvirt is None:
        raise ItemError(
            "python3-libvirt is missing on this host: install the distribution's package (role compute_host does)"
        )
    libvirt.registerErrorHandler(silent, None)
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        raise ItemError(
            f"libvirtd does not answer on {uri}: {error.get_error_message() or error}; "
            "start it (role compute_host does)"
        )
    try:
        yield connection
    finally:
        with contextlib.suppress(libvirt.libvirtError):
            connection.close()


def listed(connection: Any) -> list[Any]:
    """Return every domain of the host, in one call."""
    with failing_to("list the domains"):
        return connection.listAllDomains(0)


def power_states(connection: Any, domains: list[Any]) -> dict[str, str]:
    """Return the power state of each domain by uuid, in one call."""
    if not domains:
        return {}
    with failing_to("read the state of the domains"):
        stats = connection.domainListGetStats(domains, libvirt.VIR_DOMAIN_STATS_STATE, 0)
    return {domain.UUIDString(): POWER_STATES[told.get("state.state", 0)] for domain, told in stats}
