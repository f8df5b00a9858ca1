# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's domains remember about the instances they are. Private to this collection."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from .._model.errors import ItemError
from .._xml.tree import OURS
from .connection import POWER_STATES, libvirt, silent


def read_records(uri: str) -> list[dict[str, Any]]:
    """Return of each domain that is ours its `record` and its `power_state`, ordered by name.

    Domains that are not ours, and those whose record cannot be read, are left out.
    """
    if libvirt is None:
        raise ItemError(
            "The Python bindings of libvirt are missing: install python3-libvirt, or libvirt-python with pip"
        )
    libvirt.registerErrorHandler(silent, None)
    try:
        connection = libvirt.openReadOnly(uri)
    except libvirt.libvirtError as error:
        raise ItemError(f"Failed to connect to {uri}: {error}")
    try:
        return records_of(connection)
    except libvirt.libvirtError as error:
        raise ItemError(f"Failed to read the domains of {uri}: {error}")
    finally:
        connection.close()


def records_of(connection: Any) -> list[dict[str, Any]]:
    """Return the records of an open connection; one call tells the states of all domains."""
    found = []
    for domain, stats in connection.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE):
        record = parsed(metadata(domain))
        if record:
            found.append({"record": record, "power_state": POWER_STATES[stats.get("state.state", 0)]})
    return sorted(found, key=lambda one: str(one["record"].get("name")))


def metadata(domain: Any) -> str:
    """Return our element of the domain's metadata as text, or an empty string if it is not ours or gone by now."""
    try:
        return domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, OURS)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return ""
        raise


def parsed(element: str) -> dict[str, Any]:
    """Return the record in the element, or nothing if there is none to be read."""
    try:
        record = json.loads(ElementTree.fromstring(element).text or "") if element else {}
    except (ElementTree.ParseError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
