# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clone is the collection: plain pytest finds it as Ansible does. ansible-test has done so by itself before."""

from __future__ import annotations

import os
import pathlib
import warnings

from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder
from hypothesis import settings

# The same examples in each run and no clock, so that no chance stops a merge; VIRTFLEET_EXPLORE=1 looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("default" if os.environ.get("VIRTFLEET_EXPLORE") else "same")

if AnsibleCollectionConfig.collection_finder is None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _AnsibleCollectionFinder(paths=[str(pathlib.Path(__file__).resolve().parents[2] / "collections")])._install()
