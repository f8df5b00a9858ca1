# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dedicated CPUs: which threads of a host cell a guest gets, core by core, as the CPU thread policy says."""

from __future__ import annotations

from collections.abc import Sequence


def pin(
    siblings: Sequence[frozenset[int]],
    free: frozenset[int],
    wanted: int,
    reserved: int,
    thread_policy: str | None,
    legacy: bool,
) -> frozenset[int] | None:
    """Return the host CPUs that are taken for `wanted` guest CPUs and `reserved` emulator threads, None if impossible.

    `legacy` hosts have one CPU set for shared and dedicated use; only there does `isolate` block whole cores.
    """
    threads = max((len(core) for core in siblings), default=1)
    cores = [sorted(core & free) for core in siblings if core & free]
    if thread_policy == "isolate":
        return _isolated(siblings, cores, threads, wanted, reserved, legacy)
    if thread_policy == "require" and threads <= 1:
        return None
    least = 2 if thread_policy == "require" else 1
    for used_threads in range(threads, least - 1, -1):
        usable = [core[:used_threads] for core in cores if len(core) >= used_threads]
        done = _with_reserved(cores, _take(usable, wanted), reserved) if usable else None
        if done is not None:
            return done
    if thread_policy == "require":
        return None
    singles = [[cpu] for core in cores for cpu in core]
    return _with_reserved(singles, _take(singles, wanted), reserved)


def _isolated(
    siblings: Sequence[frozenset[int]],
    cores: Sequence[list[int]],
    threads: int,
    wanted: int,
    reserved: int,
    legacy: bool,
) -> frozenset[int] | None:
    """Return one thread of each free core, with the other threads of that core taken too."""
    whole = [core for core in cores if len(core) == threads]
    if threads != 1 and not legacy:
        return None
    taken = _take([core[:1] for core in whole], wanted)
    if not taken:  # Nova finds no place for a cell that wants isolation and no dedicated CPU either
        return None
    others = [core for core in cores if not taken.intersection(core)]
    spare = [cpu for core in others for cpu in core][:reserved]
    if len(spare) < reserved:
        return None
    used = taken | frozenset(spare)
    return frozenset(cpu for core in siblings if core & used for cpu in core)


def _take(usable: Sequence[Sequence[int]], wanted: int) -> frozenset[int] | None:
    """Return the first CPUs of the usable cores, or None when there are too few."""
    cpus = [cpu for core in usable for cpu in core][:wanted]
    return frozenset(cpus) if len(cpus) == wanted else None


def _with_reserved(
    cores: Sequence[Sequence[int]], taken: frozenset[int] | None, reserved: int
) -> frozenset[int] | None:
    """Return what is taken and the CPUs for emulator threads beside it, or None when none is left for them."""
    if taken is None:
        return None
    spare = [cpu for core in cores for cpu in core if cpu not in taken][:reserved]
    return taken | frozenset(spare) if len(spare) == reserved else None
