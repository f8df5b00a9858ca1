# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ceph cluster of one monitor and one OSD on a file, in a folder of its own, up in some ten seconds."""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import signal
import subprocess
import time
import uuid

CONF = """[global]
fsid = {fsid}
mon host = [v2:{address}:3300/0,v1:{address}:6789/0]
public addr = {address}
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
run dir = {folder}/run
keyring = {folder}/$name.keyring
log file = {folder}/log/$name.log
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
[mon]
mon data = {folder}/mon
keyring = {folder}/mon.keyring
[osd]
osd data = {folder}/osd
bluestore block size = 10737418240
bluestore cache size = 67108864
osd memory target = 939524096
"""
POOL = "vfceph"


class Cluster:
    """One cluster; `conf` is what its clients need."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        # QEMU insists on the usual ports, so each cluster has an address of its own.
        self.address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}.1"
        self.conf = folder / "ceph.conf"

    def run(self, *command: str, given: str | None = None) -> str:
        """Return what a command printed; it must not fail."""
        done = subprocess.run(
            command,
            check=False,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "CEPH_CONF": str(self.conf)},
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Make the cluster, a pool for disks and the user that virtfleet uses."""
        fsid, folder = str(uuid.uuid4()), self.folder
        for name in ("run", "log", "mon", "osd"):
            (folder / name).mkdir(parents=True)
        self.conf.write_text(CONF.format(fsid=fsid, folder=folder, address=self.address))
        mon, admin, monmap = (folder / name for name in ("mon.keyring", "client.admin.keyring", "monmap"))
        tool = ("ceph-authtool",)
        self.run(*tool, "--create-keyring", str(mon), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = [word for one in ("mon", "osd", "mgr") for word in ("--cap", one, "allow *")]
        self.run(*tool, "--create-keyring", str(admin), "--gen-key", "-n", "client.admin", *caps)
        self.run(*tool, str(mon), "--import-keyring", str(admin))
        place = f"[v2:{self.address}:3300/0,v1:{self.address}:6789/0]"
        self.run("monmaptool", "--create", "--addv", "a", place, "--fsid", fsid, str(monmap))
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(mon))
        self.run("ceph-mon", "-i", "a", "--keyring", str(mon))
        secret = self.run("ceph-authtool", "--gen-print-key").strip()
        identity = str(uuid.uuid4())
        self.run("ceph", "osd", "new", identity, "-i", "-", given=json.dumps({"cephx_secret": secret}))
        ring = folder / "osd.0.keyring"
        self.run("ceph-authtool", "--create-keyring", str(ring), "--name", "osd.0", "--add-key", secret)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        self.run("ceph-osd", "-i", "0")
        self.run("ceph", "osd", "pool", "create", POOL, "8", "8")
        self.run("rbd", "pool", "init", POOL)
        caps = ["mon", "profile rbd", "osd", f"profile rbd pool={POOL}"]
        self.run("ceph", "auth", "get-or-create", "client.libvirt", *caps, "-o", str(folder / "client.libvirt.keyring"))

    def key(self) -> str:
        """Return the key of the user, which must be in no place but the keyring and libvirt."""
        return self.run("ceph", "auth", "get-key", "client.libvirt").strip()

    def rbd(self, *command: str) -> str:
        """Return what an rbd command of the administrator printed."""
        return self.run("rbd", *command)

    def stop(self) -> None:
        """Nothing of the cluster runs any more."""
        pids = [int(path.read_text()) for path in (self.folder / "run").glob("*.pid")]
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + 30
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
            time.sleep(0.2)


def name() -> str:
    """Return a word that no other test uses."""
    return secrets.token_hex(4)
