# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of failures need of this machine: a guest that needs nothing, ways to break things, and to look."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import threading
import time

from ansible_collections.virtfleet.compute.plugins.module_utils._images.image import from_record
from ansible_collections.virtfleet.compute.plugins.module_utils._model import naming

from ..conftest import STATE_DIR, Cloud, Run, virsh

BOOT_SECTOR = b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa"  # cli; hlt; jmp back to hlt
NETNS = pathlib.Path("/sys/class/net")
# A Python for modules that finds no libvirtd once it was called so often.
DEAF = """#!/bin/sh
calls=$(cat {count} 2>/dev/null || echo 0)
echo $((calls + 1)) > {count}
[ "$calls" -ge {answers} ] || exec /usr/bin/python3 "$@"
exec unshare -m sh -c 'mount -t tmpfs none /run/libvirt && exec /usr/bin/python3 "$@"' sh "$@"
"""
# A command in namespaces of its own, where a small disk is full but for some bytes; at last it lists what is there.
FULL_DISK = """mount -t tmpfs -o size=1100m none {folder} && fallocate -l $((1100 * 1048576 - {free})) {folder}/filler
"$@"; code=$?; echo; find {folder} -type f | sed 's/^/left: /'; exit $code"""


def halting_image(path: pathlib.Path) -> dict:
    """Write a disk whose boot sector halts the processor for good, and return its entry in the catalogue."""
    path.write_bytes(BOOT_SECTOR.ljust(1 << 20, b"\0"))
    return entry(path, "raw")


def entry(path: pathlib.Path, disk_format: str) -> dict:
    """Return the entry of a file in the catalogue."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"url": f"file://{path}", "checksum": f"sha256:{digest}", "disk_format": disk_format}


def qemu_img(path: pathlib.Path, *options: str) -> pathlib.Path:
    """Make a qcow2 file and return it."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, str(path), "1M"], check=True)
    return path


def deaf(folder: pathlib.Path, answers: int) -> dict:
    """Return the variables of a host whose libvirtd answers so many modules and is gone then."""
    count, python = folder / "calls", folder / "python"
    count.unlink(missing_ok=True)
    python.write_text(DEAF.format(count=count, answers=answers))
    python.chmod(0o755)
    return {"ansible_connection": "local", "ansible_python_interpreter": str(python)}


def full_disk(folder: pathlib.Path, free: int) -> list[str]:
    """Return the command that runs another where the folder is a disk of 1 GiB with so many bytes free."""
    folder.mkdir()
    # Without a network of its own, the rules of this machine could be replaced by those of the ports in that folder.
    return ["unshare", "-m", "-n", "sh", "-c", FULL_DISK.format(folder=folder, free=free), "sh"]


def killed(cloud: Cloud, task: str, *instances: dict, after: float = 0.0, playbook: str = "boot.yml", **more) -> None:
    """Run a playbook and kill it, without a chance to clean up, so many seconds after the task began.

    The task is given as "role : beginning of its name".
    """
    process = cloud.start(playbook, "-v", *more.pop("arguments", ()), virtfleet_instances=list(instances), **more)
    for line in process.stdout:
        if line.startswith(f"TASK [virtfleet.compute.{task}"):
            time.sleep(after)
            os.killpg(process.pid, signal.SIGKILL)
            break
    rest = process.communicate()[0]
    if process.returncode != -signal.SIGKILL:
        raise AssertionError(f"no task {task}, or it was too late: {rest}")


def reasons(run: Run) -> list[str]:
    """Return the sentences with which a run ended on the controller, without the stage that said them."""
    lines = [line.partition(": ") for line in run.output.splitlines()]
    return [told for head, _colon, told in lines if head.startswith("localhost ") and len(head.split()) == 2]


def row(run: Run, name: str) -> list[str]:
    """Return the line of an instance in the table at the end of a run, in words, and the one below it."""
    lines = run.output.splitlines()
    found = [at for at, line in enumerate(lines) if line.split()[:1] == [name]]
    return [*lines[found[-1]].split(), lines[found[-1] + 1].strip()]


def cached(image: dict) -> list[str]:
    """Return what the cache has of an image of the catalogue, whole or in part."""
    identity = from_record({"name": "it", **image}).id
    return sorted(path.name for path in (STATE_DIR / "images").glob(f"{identity}*"))


def domain_id(name: str) -> str:
    """Return the number that a guest has as long as it is not started anew."""
    return virsh("domid", name).strip()


def folder(name: str) -> pathlib.Path:
    """Return where the files of an instance are."""
    return STATE_DIR / "instances" / naming.instance_uuid("default", name)


@contextlib.contextmanager
def same_disk(name: str):
    """The root disk of an instance is the same file at the end; held open, its number is given to no other."""
    path = folder(name) / "root.qcow2"
    with path.open("rb") as held:
        yield
        if not path.exists() or not os.path.samestat(os.fstat(held.fileno()), path.stat()):
            raise AssertionError(f"{path} is not the disk it was")


def tap(name: str) -> str:
    """Return the tap of an instance."""
    return naming.tap(naming.port_id("default", name, 0))


def rules(name: str) -> str:
    """Return the lines of the packet filter that are about an instance."""
    told = subprocess.run(
        ["nft", "list", "table", "bridge", "virtfleet"], capture_output=True, text=True, check=False
    ).stdout
    return "\n".join(line for line in told.splitlines() if tap(name) in line)


def unguard(name: str) -> None:
    """Take the tap of an instance out of the map by which the packet filter knows it, as a flush would."""
    element = f'{{ "{tap(name)}" : jump guarded }}'
    subprocess.run(["nft", "delete", "element", "bridge", "virtfleet", "guests", element], check=True)


def snapshot(cloud: Cloud) -> dict:
    """Return all that this machine has of the cloud, down to times and numbers of files."""
    names = sorted({*cloud.domains(), *cloud.claims()})
    files = [path for name in names for path in folder(name).glob("*")]
    files += [
        path for path in (STATE_DIR / "ports").glob("*.json") if json.loads(path.read_text())["instance"] in names
    ]
    with sqlite3.connect(STATE_DIR / "registry" / "registry.db") as registry:
        claims = registry.execute(
            f"SELECT * FROM instances WHERE name LIKE '{cloud.prefix}-%' ORDER BY name"
        ).fetchall()
        uuids = {one[0] for one in claims}
        tables = ("allocations", "ports", "addresses", "actions")
        rows = {table: registry.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    return {
        "domains": {name: virsh("dumpxml", name) + virsh("dumpxml", "--inactive", name) for name in cloud.domains()},
        "files": {
            str(path): (state.st_ino, state.st_mtime_ns, state.st_size) for path in files if (state := path.stat())
        },
        "taps": {name: (NETNS / tap(name) / "ifindex").read_text() for name in names if (NETNS / tap(name)).exists()},
        "rules": {name: rules(name) for name in names},
        "claims": claims,
        **{table: [one for one in rows[table] if uuids.intersection(map(str, one))] for table in tables},
    }


def stray(cloud: Cloud, *names: str) -> list[str]:
    """Return what audit.yml finds about instances of these names; others on this machine may be in the middle of it."""
    words = [
        word for name in names for word in (name, folder(name).name, naming.port_id("default", name, 0), tap(name))
    ]
    return [line for line in cloud.findings() if any(word in line for word in words)]


class Commands(threading.Thread):
    """Reads the command lines of all processes of this machine, over and over, until it is stopped."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()
