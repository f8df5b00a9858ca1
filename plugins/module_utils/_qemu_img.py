# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way to call qemu-img: a format is always named, its resources are limited. Private to this collection."""

from __future__ import annotations

import subprocess

from ._model.errors import ItemError

ADDRESS_SPACE = 2 * 2**30  # bytes; Nova's limit, enough for any image and too little to hurt the host
CPU_SECONDS = 30
ATTEMPTS = 3  # it gives up now and then on a busy host when it measures how long it takes to derive a key
UNTIMED = "Unable to get accurate CPU usage"
NO_SPACE = "No space left on device"


def run(
    arguments: list[str],
    what: str,
    cpu_seconds: int = CPU_SECONDS,
    address_space: int = ADDRESS_SPACE,
    passphrase: str = "",
    seconds: float | None = None,
    harmless: tuple[int, ...] = (),
) -> str | None:
    """Return what `qemu-img ARGUMENTS` printed; ItemError "failed to WHAT: its words" when it could not.

    It is None when it ended with a harmless code. Limits of 0 are none.

    A malicious image can make qemu-img compute for ever or take all memory (OSSA 2016-012): hence the limits. The
    passphrase, which arguments call `key`, goes through a pipe: a list of arguments is there for everybody to read. A
    server that may not answer has so many seconds.
    """
    secret = ["--object", "secret,id=key,file=/dev/stdin"] if passphrase else []
    space = [f"--as={address_space}"] if address_space else []
    limited = ["prlimit", *space, f"--cpu={cpu_seconds}", "qemu-img"]
    limited += [*arguments[:1], *secret, *arguments[1:]]
    for _again in range(ATTEMPTS if passphrase else 1):
        try:
            done = _run(limited, passphrase, seconds)
        except subprocess.TimeoutExpired:
            raise ItemError(f"failed to {what}: no answer within {seconds:g} s")
        if UNTIMED not in done.stderr:
            break
    if done.returncode == 127:
        raise ItemError("qemu-img is not installed on this host: role compute_host installs what is needed")
    if done.returncode < 0:
        raise ItemError(f"failed to {what}: qemu-img used more than {cpu_seconds} s of CPU or its memory limit")
    if done.returncode in harmless:
        return None
    if done.returncode:
        raise ItemError(f"failed to {what}: {_last_line(done.stderr)}")
    return done.stdout


def _run(command: list[str], given: str, seconds: float | None) -> subprocess.CompletedProcess[str]:
    pipes = {"input": given, "capture_output": True, "text": True, "errors": "replace"}
    try:
        return subprocess.run(command, check=False, timeout=seconds, **pipes)
    except FileNotFoundError:
        raise ItemError("prlimit is not installed on this host: role compute_host installs what is needed")


def _last_line(text: str) -> str:
    """Return the last line that says something, without the program's name."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].replace("qemu-img: ", "", 1) if lines else "qemu-img said nothing"
