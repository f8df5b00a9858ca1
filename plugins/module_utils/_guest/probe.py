# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an accelerator really runs a guest: boot the small kernel with it. Private to this collection."""

from __future__ import annotations

import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .._model.errors import ItemError

MARKER = "VIRTFLEET-PROBE-OK"
# TCG is slow on a busy machine, but it never hangs.
TCG_DEADLINE = 90
# A process that hangs inside /dev/kvm may take a while to die, and we need not wait for it.
DEATH_DEADLINE = 5


@dataclass(frozen=True)
class Finding:
    """Whether the guest's kernel ran, and in words why not or how fast."""

    works: bool
    reason: str


def verdict(console: str, errors: str, ended: bool, seconds: float) -> Finding:
    """Return the finding from what the guest's console and QEMU said until then.

    Args:
        console: text of the serial console.
        errors: what QEMU itself printed.
        ended: whether QEMU has ended by itself.
        seconds: how long it took.
    """
    if any(line.strip().startswith(MARKER) for line in console.splitlines()):
        return Finding(True, f"the guest kernel ran in {seconds:.1f} seconds")
    if ended:
        words = [line.strip() for line in errors.splitlines() if line.strip()]
        return Finding(False, f"QEMU ended: {words[-1] if words else 'without a word'}")
    if not console.strip():
        return Finding(False, f"a guest hangs: nothing on its console after {seconds:.0f} seconds")
    last = console.strip().splitlines()[-1].strip()[:80]
    return Finding(False, f"a guest hangs: after {seconds:.0f} seconds its console ends with '{last}'")


def boots(accelerator: str, emulator: str, kernel: Path, initrd: Path, deadline: float) -> Finding:
    """Return whether the kernel runs with that accelerator; QEMU is gone afterwards."""
    argv = [emulator, "-accel", accelerator, "-machine", "pc", "-m", "128", "-nodefaults", "-no-user-config"]
    argv += ["-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(kernel), "-initrd", str(initrd)]
    argv += ["-append", "console=ttyS0 quiet loglevel=3 panic=-1 virtfleet.probe"]
    start = time.monotonic()
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as qemu:
        try:
            console, errors = _listen(qemu, start + deadline)
            ended = qemu.poll() is not None
        finally:
            _end(qemu)
    return verdict(console, errors, ended, time.monotonic() - start)


def _listen(qemu: subprocess.Popen[bytes], end: float) -> tuple[str, str]:
    """Return what came from the console and from QEMU until the marker, QEMU's end or the deadline."""
    said = {qemu.stdout: b"", qemu.stderr: b""}
    open_pipes = list(said)
    while open_pipes and MARKER.encode() not in said[qemu.stdout] and time.monotonic() < end:
        for pipe in select.select(open_pipes, [], [], 0.2)[0]:
            block = os.read(pipe.fileno(), 65536)
            said[pipe] += block
            if not block:
                open_pipes.remove(pipe)
    if not open_pipes:
        qemu.wait(DEATH_DEADLINE)
    return said[qemu.stdout].decode(errors="replace"), said[qemu.stderr].decode(errors="replace")


def _end(qemu: subprocess.Popen[bytes]) -> None:
    """Kill QEMU; if even that hangs, leave it to the kernel rather than hang with it."""
    qemu.kill()
    try:
        qemu.wait(DEATH_DEADLINE)
    except subprocess.TimeoutExpired:
        qemu.returncode = -9  # keeps Popen's own exit from waiting for ever


def find_virt_type(emulator: str, kvm: str, kernel: Path, initrd: Path, deadline: float) -> tuple[str, str]:
    """Return kvm or qemu, and why.

    Errors:
        ItemError without QEMU, or if KVM fails and the same kernel does not run under TCG either: then nothing is
        known of KVM.
    """
    if not emulator:
        raise ItemError("there is no QEMU on this host: install it, or let the role compute_host do so")
    if not os.path.exists(kvm):
        return "qemu", f"there is no {kvm}"
    if not (kernel.is_file() and initrd.is_file()):
        raise ItemError(
            f"cannot find out whether KVM works: no kernel {kernel}: run the role guest_image first, "
            "or set the virt type to kvm or qemu"
        )
    finding = boots("kvm", emulator, kernel, initrd, deadline)
    if finding.works:
        return "kvm", f"KVM works: {finding.reason}"
    control = boots("tcg", emulator, kernel, initrd, TCG_DEADLINE)
    if not control.works:
        raise ItemError(
            f"the guest kernel {kernel} runs neither with KVM ({finding.reason}) nor with TCG ({control.reason}): "
            "build the guest image anew"
        )
    return "qemu", f"KVM does not work: {finding.reason}; with TCG {control.reason}"


def qemu_version(emulator: str) -> str:
    """Return the version QEMU prints, or an empty string."""
    if not emulator:
        return ""
    said = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("version ")[2].split(" ")[0].strip()
