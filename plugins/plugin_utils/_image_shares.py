# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who hands which image to whom, so that each is fetched into the fleet once. Private."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from ..module_utils._images.image import shared_id
from ._stage import to_make

Record = dict[str, Any]

MOST_HOLDERS = 3
KEYS = ("url", "checksum", "disk_format")


def plan(
    records: Iterable[Record], told: Callable[[str], Record], run: Collection[str], fleet: Iterable[str]
) -> list[dict[str, Any]]:
    """Return for each image that goes from host to host its id, its holders and the host that fetches it first.

    `told` gives the host record of a host; `run` are the hosts that the run works on, `fleet` all there are. The others
    are only looked at when a host lacks something. `seed` is empty for an image that some host has already; one that
    only a single host lacks and no host has is left out: it asks the image's own address. One that only its `origin`
    can read, a host of the fleet, is first taken into the cache there: `image` says what.
    """
    lacking: dict[str, list[str]] = {}
    images: dict[str, Record] = {}
    for host, identity, image in _wanted(records, set(run)):
        if identity not in _cached(told(host)) and host not in lacking.setdefault(identity, []):
            lacking[identity].append(host)
            images[identity] = image
    lacking = {identity: hosts for identity, hosts in lacking.items() if hosts}
    if not lacking:
        return []
    caches = {host: _cached(told(host)) for host in fleet}
    shares = []
    for identity, lack in sorted(lacking.items()):
        holders = sorted(host for host, cached in caches.items() if identity in cached)
        origin = images[identity].get("host")
        if origin and not holders:
            if origin in caches and lack != [origin]:
                known = {key: images[identity][key] for key in ("name", *KEYS) if images[identity].get(key)}
                shares.append({"id": identity, "holders": [origin], "seed": "", "origin": origin, "image": known})
        elif holders or len(lack) > 1:
            seed = "" if holders else min(lack)
            shares.append({"id": identity, "holders": holders[:MOST_HOLDERS] or [seed], "seed": seed})
    return shares


def _cached(host: Record) -> set[str]:
    """Return the ids of the images that a host has; a host that is down has none to give."""
    files = ((host.get("extra") or {}).get("image_cache") or ()) if host.get("up") else ()
    return {file.removesuffix(".json") for file in files if file.endswith(".json")}


def _wanted(records: Iterable[Record], run: set[str]) -> Iterator[tuple[str, str, Record]]:
    """Yield host, id and image for each image that a record is to be made from and that a server or one host has."""
    known: dict[tuple[str, ...], str] = {}
    for record in records:
        if record.get("host") not in run or not to_make(record):
            continue
        for image in (record.get("image"), *(one.get("image") for one in record.get("volumes") or ())):
            if image:
                key = tuple(str(image.get(word)) for word in (*KEYS, "host"))
                if key not in known:
                    known[key] = shared_id(image)
                if known[key]:
                    yield record["host"], known[key], image
