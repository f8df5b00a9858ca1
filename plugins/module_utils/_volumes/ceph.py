# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in the pools of a Ceph cluster, as the command rbd tells of them and changes them. Private to this collection.

A pool is what a volume type says of it: pool, and maybe user and conf; a path is pool/image.
"""

from __future__ import annotations

import json
import posixpath
import subprocess
import time
from collections.abc import Mapping
from typing import Any

from .._model.errors import ItemError
from . import tools

Pool = Mapping[str, Any]

SNAPSHOT = "base"  # of an image, what disks are cloned from
OURS = "virtfleet-"  # how an image to clone from begins
CONF = "/etc/ceph/ceph.conf"
SECONDS = 60  # until a cluster that does not answer is given up
NO_SUCH, EXISTS, INVALID = 2, 17, 22  # exit codes of rbd: the system's error numbers
TIME = "%a %b %d %H:%M:%S %Y"  # as rbd tells it, in the time of the host


def access(pool: Pool) -> tuple[str, str]:
    """Return the user and the configuration of the cluster."""
    return pool.get("user") or "libvirt", pool.get("conf") or CONF


def rbd(pool: Pool, arguments: list[str], name: str, *harmless: int) -> str:
    """Return what `rbd ARGUMENTS` printed; empty when it ended with a harmless code."""
    done = _run(pool, arguments, name)
    return "" if done.returncode in harmless else tools.checked(done, f"volume {name}: rbd {arguments[0]}")


def tried(pool: Pool, arguments: list[str], name: str, *expected: int) -> int:
    """Return with which of the expected codes, or 0, `rbd ARGUMENTS` ended."""
    done = _run(pool, arguments, name)
    if done.returncode not in expected:
        tools.checked(done, f"volume {name}: rbd {arguments[0]}")
    return done.returncode


def _run(pool: Pool, arguments: list[str], name: str) -> subprocess.CompletedProcess[str]:
    user, conf = access(pool)
    what = f"volume {name}: rbd {arguments[0]}"
    command = ["rbd", "--conf", conf, "--id", user, *arguments]
    try:
        hint = "rbd is not installed on this host: install ceph-common and qemu-block-extra"
        return tools.run(command, hint, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ItemError(f"{what} had no answer from the cluster of {conf} within {SECONDS} s: see ceph status")


def names(pool: Pool, name: str = "") -> list[str]:
    """Return the names of all images of the pool."""
    return json.loads(rbd(pool, ["ls", "--format", "json", str(pool["pool"])], name or str(pool["pool"])))


def size_of(pool: Pool, path: str) -> int | None:
    """Return the size of an image in bytes, None if there is none."""
    told = rbd(pool, ["info", "--format", "json", path], path, NO_SUCH)
    return json.loads(told)["size"] if told else None


def dates(pool: Pool, path: str) -> tuple[float, float] | None:
    """Return when an image was made and when it was used last, None if there is none."""
    told = rbd(pool, ["info", "--format", "json", path], path, NO_SUCH)
    if not told:
        return None
    words = json.loads(told)
    stamps = [words.get(f"{one}_timestamp") for one in ("create", "modify", "access")]
    times = [time.mktime(time.strptime(one, TIME)) for one in stamps if one]
    return (times[0], max(times)) if times else (0.0, 0.0)


def is_parent(pool: Pool, path: str) -> bool:
    """Say whether disks can be cloned from the image."""
    told = rbd(pool, ["snap", "ls", "--format", "json", path], path, NO_SUCH)
    return any(one["name"] == SNAPSHOT and str(one["protected"]).lower() == "true" for one in json.loads(told or "[]"))


def is_open(pool: Pool, path: str) -> bool:
    """Say whether a client, on whatever host, has the image open."""
    told = rbd(pool, ["status", "--format", "json", path], path, NO_SUCH)
    return bool(told and json.loads(told)["watchers"])


def discard(pool: Pool, path: str) -> None:
    """An image is gone, and with it the snapshot that we made; one that somebody needs is refused by the cluster."""
    if posixpath.basename(path).startswith(OURS):
        rbd(pool, ["snap", "unprotect", f"{path}@{SNAPSHOT}"], path, NO_SUCH, INVALID)
        rbd(pool, ["snap", "rm", "--no-progress", f"{path}@{SNAPSHOT}"], path, NO_SUCH)
    rbd(pool, ["rm", "--no-progress", path], path, NO_SUCH)


def spoken_removal(pool: Pool, path: str) -> str:
    """Return what to run so that an image is gone."""
    user, conf = access(pool)
    return f"rbd{'' if conf == CONF else f' --conf {conf}'} --id {user} rm {path}"
