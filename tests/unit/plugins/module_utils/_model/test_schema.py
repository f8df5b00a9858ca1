# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema is one, its examples fit it, and what is made of it is up to date."""

from __future__ import annotations

import importlib.util
import pathlib

import jsonschema
import pytest

from ansible_collections.virtfleet.compute.plugins.module_utils._model import schema
from ansible_collections.virtfleet.compute.plugins.plugin_utils._request.resolve import request

ROOT = pathlib.Path(__file__).resolve().parents[5]


def generator():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def every(part):
    """Yield every schema in a schema."""
    yield part
    inner = [*part.get("properties", {}).values(), part.get("items"), part.get("additionalProperties")]
    for one in inner:
        if isinstance(one, dict):
            yield from every(one)


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema.SCHEMA)


@pytest.mark.parametrize("variable", schema.VARIABLES)
def test_examples_and_defaults_fit(variable):
    for part in every(schema.VARIABLES[variable]):
        for value in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            jsonschema.Draft202012Validator(part).validate(value)


@pytest.mark.parametrize("variable", schema.VARIABLES)
def test_every_pattern_is_told_in_words_and_every_key_described(variable):
    for part in every(schema.VARIABLES[variable]):
        assert "pattern" not in part or "x-valid" in part
        assert all("description" in one for one in part.get("properties", {}).values())


def test_the_examples_together_are_a_good_request():
    records, problems = request({name: one["examples"][0] for name, one in schema.VARIABLES.items()})
    assert [str(one) for one in problems] == []
    assert [one["name"] for one in records] == ["web-1", "web-2", "web-3"]


def test_generated_files_are_up_to_date():
    stale = [str(path.relative_to(ROOT)) for path, text in generator().files().items() if path.read_text() != text]
    assert stale == [], "run docs/generate.py"
