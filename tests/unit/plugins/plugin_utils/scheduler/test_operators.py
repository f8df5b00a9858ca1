# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nova's operator language, version predicates and CPU lists."""

from __future__ import annotations

import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model.errors import ItemError
from ansible_collections.virtfleet.compute.plugins.plugin_utils._scheduler.operators import (
    matches,
    parse_cpus,
    version_matches,
)


@pytest.mark.parametrize(
    "value,wanted,answer",
    [
        ("10", "= 9", True),
        ("8", "= 9", False),
        ("9.0", "== 9", True),
        ("9", "!= 9", False),
        ("9", "<= 9", True),
        ("9", ">= 9.5", False),
        ("abc", "s== abc", True),
        ("abc", "s!= abc", False),
        ("b", "s> a", True),
        ("abcdef", "<in> cd", True),
        ("abcdef", "<all-in> ab ef", True),
        ("abcdef", "<all-in> ab xy", False),
        ("two", "<or> one <or> two", True),
        ("or", "<or> one <or> two", False),
        ("true", "true", True),
        ("true", "True", False),
        ("9", "> 8", False),
        ("9", ">=", False),
        ("x", "<or>", False),
        ("", "", True),
        ("text", "== 9", False),
    ],
)
def test_operator(value, wanted, answer):
    assert matches(value, wanted) is answer


def test_an_operator_for_numbers_refuses_text():
    with pytest.raises(ItemError, match=r"use s== to compare text"):
        matches("9", "== nine")


@pytest.mark.parametrize(
    "version,predicate,answer",
    [
        (8002002, ">=8.0", True),
        (8002002, ">=8.0, <8.2", False),
        (8000000, "==8", True),
        (9002000, "!=9.2.0", False),
        (7002000, ">7.2", False),
    ],
)
def test_version(version, predicate, answer):
    assert version_matches(version, predicate) is answer


def test_a_version_without_comparison_is_refused():
    with pytest.raises(ItemError, match="has no comparison"):
        version_matches(8000000, "8.0")


def test_cpu_list():
    assert parse_cpus("0-3,^1, 6") == {0, 2, 3, 6}
    with pytest.raises(ItemError, match="not understood at '1-x'"):
        parse_cpus("1-x")
