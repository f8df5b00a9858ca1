# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to libvirt, and libvirt's errors in our words. Private to this collection."""

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
