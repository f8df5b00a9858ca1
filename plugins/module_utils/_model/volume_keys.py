# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The passphrases of encrypted volumes, which no record holds: a record says under which names they are looked for.

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


def needed(records: Iterable[Mapping[str, Any]], keys: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return of the passphrases those that encrypted volumes of these instances, or these volumes, may be opened by."""
    volumes = [one for record in records for one in (record.get("volumes") or [record])]
    wanted = {name for one in volumes if one.get("encryption") for name in names(one)}
    return {name: key for name, key in (keys or {}).items() if name in wanted}


def passphrase(volume: Volume, keys: Mapping[str, Any]) -> str:
    """Return the passphrase of an encrypted volume, empty for one that is not; ItemError when there is none."""
    if not volume.get("encryption"):
        return ""
    known = names(volume)
    found = next((str(keys[name]) for name in known if keys.get(name)), "")
    if not found:
        told = " or ".join(known)
        raise ItemError(f"volume {volume.get('name')} is encrypted: virtfleet_volume_keys has no {told}", "request")
    return found
