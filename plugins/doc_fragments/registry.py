# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module that works on the registry takes."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of the registry."""

    DOCUMENTATION = r"""
options:
  registry_url:
    description: The registry, as C(sqlite:////absolute/path) or C(postgresql://user@host/name).
    type: str
    default: sqlite:////var/lib/virtfleet/registry/registry.db
  timeout:
    description: Seconds to wait while other runs write to the registry.
    type: int
    default: 60
requirements:
  - SQLAlchemy >= 1.4
  - psycopg2 for a registry in PostgreSQL
"""
