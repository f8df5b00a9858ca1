# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small languages of extra specs and images: Nova's operators, version predicates and CPU lists."""

from __future__ import annotations

import operator
from typing import Any

from .names import refuse

_NUMBERS = {"=": operator.ge, "==": operator.eq, "!=": operator.ne, ">=": operator.ge, "<=": operator.le}
_STRINGS = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}
_VERSIONS = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_SWITCHED_ON = {"1", "t", "true", "on", "y", "yes"}


def matches(value: str, wanted: str) -> bool:
    """Return whether a host's value satisfies what an extra spec asks, in Nova's operator language.

    `=` means at least; without an operator the two strings must be equal; an operator without operand never matches.
    """
    operation, *operands = wanted.split() or [""]
    if operation == "<or>":
        return value in operands[::2]
    if operation not in _NUMBERS and operation not in _STRINGS and operation not in ("<in>", "<all-in>"):
        return value == wanted
    if not operands:
        return False
    if operation == "<in>":
        return operands[0] in value
    if operation == "<all-in>":
        return all(operand in value for operand in operands)
    if operation in _STRINGS:
        return _STRINGS[operation](value, operands[0])
    return _compare_numbers(operation, value, operands[0])


def _compare_numbers(operation: str, value: str, operand: str) -> bool:
    """Compare as numbers; what is no number on the host's side does not match, in the request it is refused."""
    try:
        wanted = float(operand)
    except ValueError:
        refuse(f"'{operation} {operand}' compares numbers, but {operand} is none: use s{operation} to compare text")
    try:
        return _NUMBERS[operation](float(value), wanted)
    except ValueError:
        return False


def version_matches(version: int, predicate: str) -> bool:
    """Return whether libvirt's number of a version (8002002 is 8.2.2) satisfies a predicate such as '>=8.0,<9'."""
    have = _version_tuple(_dotted(version))
    for part in predicate.split(","):
        sign = next((sign for sign in _VERSIONS if part.strip().startswith(sign)), "")
        if not sign:
            refuse(f"version predicate '{predicate}' has no comparison: write for example '>=8.0'")
        if not _VERSIONS[sign](have, _version_tuple(part.strip()[len(sign) :].strip())):
            return False
    return True


def _dotted(version: int) -> str:
    """Return a version number as text: three decimal places for each part after the first."""
    parts = [version % 1000]
    while version >= 1000:
        version //= 1000
        parts.insert(0, version % 1000)
    return ".".join(str(part) for part in parts)


def _version_tuple(text: str) -> tuple[int, ...]:
    """Return a version as numbers without trailing zeros, so that 8.0 equals 8."""
    if not text.replace(".", "").isdigit():
        refuse(f"version '{text}' is not made of numbers and dots, as 8.2.2 is")
    numbers = [int(part) for part in text.split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def parse_cpus(text: str) -> frozenset[int]:
    """Return the CPUs of a list such as '0-3,^1,6'."""
    chosen: set[int] = set()
    left_out: set[int] = set()
    for part in str(text).split(","):
        word = part.strip()
        target = left_out if word.startswith("^") else chosen
        first, _dash, last = word.removeprefix("^").partition("-")
        if not word:
            continue
        if not first.strip().isdigit() or not (last.strip() or "0").isdigit():
            refuse(f"CPU list '{text}' is not understood at '{word}': write for example '0-3,^1,6'")
        target.update(range(int(first), int(last or first) + 1))
    return frozenset(chosen - left_out)


def is_true(value: Any) -> bool:
    """Return whether a value from a flavor or image switches something on."""
    return str(value).strip().lower() in _SWITCHED_ON
