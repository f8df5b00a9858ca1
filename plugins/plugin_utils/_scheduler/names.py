# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusing what has the wrong name or form, in one sentence that gives the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from ...module_utils._model.errors import ItemError


def refuse(sentence: str) -> NoReturn:
    """Raise the one error of this package; the request or the input has to change, no other host will do."""
    raise ItemError(sentence, fault="request")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the valid name that looks most like the given one, or an empty string."""
    found = difflib.get_close_matches(str(name), sorted(valid), n=1, cutoff=0.5)
    return found[0] if found else ""


def refuse_unknown(what: str, name: str, valid: Iterable[str]) -> NoReturn:
    """Refuse a name that is not among the valid ones, with the nearest first."""
    close = nearest(name, valid)
    hint = f"did you mean {close}? " if close else ""
    told = f"valid are {', '.join(sorted(valid))}" if valid else "there are none"
    refuse(f"{what} {name} is unknown: {hint}{told}")


def check_names(what: str, given: Iterable[str], valid: Iterable[str]) -> None:
    """Refuse the first given name that is not among the valid ones."""
    valid = frozenset(valid)
    for name in given:
        if name not in valid:
            refuse_unknown(what, name, valid)
