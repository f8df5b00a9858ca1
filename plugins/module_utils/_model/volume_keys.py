# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passphrases of encrypted volumes and the passwords of targets, which no record holds: a record names them.

Private to this collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .errors import ItemError

Volume = Mapping[str, Any]


def names(volume: Volume) -> list[str]:
    """Return the names of a volume's passphrase, the first that is there counts: the volume's own, that of its type."""
    own = [str(volume.get("name"))] if volume.get("id") else []
    return [*own, *([str(volume["key"])] if volume.get("key") else [])]


def is_locked(volume: Volume) -> bool:
    """Say whether a volume is opened by something secret: it is encrypted, or its target wants a password."""
    return bool(volume.get("encryption") or (volume.get("pool") or {}).get("chap_user"))


def needed(records: Iterable[Mapping[str, Any]], keys: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return of the passphrases those that encrypted volumes of these instances, or these volumes, may be opened by."""
    volumes = [one for record in records for one in (record.get("volumes") or [record])]
    volumes += [{**one, **one["origin"]} for one in volumes if one.get("origin")]
    wanted = {name for one in volumes if is_locked(one) for name in names(one)}
    return {name: key for name, key in (keys or {}).items() if name in wanted}


def passphrase(volume: Volume, keys: Mapping[str, Any]) -> str:
    """Return what opens a volume, empty for one that is open to all; ItemError when there is nothing."""
    if not is_locked(volume):
        return ""
    known = names(volume)
    found = next((str(keys[name]) for name in known if keys.get(name)), "")
    if not found:
        told = " or ".join(known)
        why = "is encrypted" if volume.get("encryption") else "wants a password"
        raise ItemError(f"volume {volume.get('name')} {why}: virtfleet_volume_keys has no {told}", "request")
    return found
