# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cached images the disks of a host are made from. Nothing is probed: only headers are read, by our own code."""

from __future__ import annotations

import glob
import os
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .._files import instance_folders, regular

CACHED = re.compile(r"[0-9a-f]{32}\.(?:qcow2|raw)")
HEAD = 4096  # the name of a backing file has at most 1023 bytes and lies in the first cluster
LONGEST = 64  # overlays upon each other


@dataclass(frozen=True)
class Disks:
    """A guest, by what people call it, and the files that libvirt knows of it."""

    uuid: str
    name: str
    paths: tuple[str, ...]


def users(images: str, state_dir: str, guests: Iterable[Disks]) -> dict[str, list[str]]:
    """Return the names of the guests that need each file of the cache, by file; files that nobody needs are left out.

    Guests are all domains of the host, ours or not, running or not, and all directories of instances, with whatever
    lies in them: a volume that is half made needs its image too, and so may one that no guest has now. What cannot be
    told counts as needed.
    """
    names = {guest.uuid: guest.name for guest in guests}
    found: dict[str, set[str]] = {}
    for guest in guests:
        for path in guest.paths:
            _follow(images, path, guest.name, found)
    for uuid in instance_folders(state_dir):
        directory = os.path.join(state_dir, "instances", uuid)
        for name in os.listdir(directory):
            _follow(images, os.path.join(directory, name), names.get(uuid, f"instance {uuid}"), found)
    for path in glob.glob(os.path.join(glob.escape(state_dir), "volumes", "*")):
        _follow(images, path, f"volume {os.path.basename(path).partition('.')[0]}", found)
    return {file: sorted(who) for file, who in sorted(found.items())}


def _follow(images: str, path: str, user: str, found: dict[str, set[str]]) -> None:
    """Note every cached image that the chain of the path comes to."""
    for _step in range(LONGEST):
        if os.path.dirname(os.path.realpath(path)) == os.path.realpath(images):
            found.setdefault(os.path.basename(os.path.realpath(path)), set()).add(user)
        backing = backing_of(path)
        for file in CACHED.findall(backing):
            found.setdefault(file, set()).add(user)
        if not backing:
            return
        path = os.path.join(os.path.dirname(path), backing.partition("file:")[2] or backing)


def backing_of(path: str) -> str:
    """Return the backing file that the header of a qcow2 names, and nothing for any other file.

    A raw disk whose guest wrote such a header can at most claim to need an image: no file is opened for anything else.
    """
    if regular(path) is None:
        return ""
    try:
        with open(path, "rb") as stream:
            head = stream.read(HEAD)
            if head[:4] != b"QFI\xfb" or len(head) < 20:
                return ""
            offset, size = struct.unpack_from(">QI", head, 8)
            stream.seek(offset)
            name = stream.read(min(size, 1023)) if offset else b""
    except (OSError, ValueError, OverflowError):  # an offset where no file reaches
        return ""
    return name.partition(b"\0")[0].decode(errors="replace")


def in_words(users_of: Mapping[str, list[str]], file: str) -> str:
    """Return the users of a file in words, at most five by name."""
    who = users_of.get(file, [])
    return ", ".join(who[:5]) + (f" and {len(who) - 5} more" if len(who) > 5 else "")
