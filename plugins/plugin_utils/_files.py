# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that the scheduler's edges read: own rules, fleet files, saved records. Private to this collection."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from ..module_utils._model.errors import ItemError

_KINDS = ("passes", "weigh")


def found(path: str, from_playbook: str) -> str:
    """Return a relative path from where the user is, if something is there, else the path from the playbook."""
    here = pathlib.Path(path).expanduser()
    return str(here.resolve()) if here.exists() else from_playbook


def load_rules(directory: str | None) -> dict[str, dict[str, Any]]:
    """Return the functions of every Python file of a directory, by the name of the file.

    A file has `passes(host, request)`, `weigh(host, request)` or both; `digest` tells the text that they came from.
    """
    if not directory:
        return {}
    folder = pathlib.Path(directory).expanduser()
    if not folder.is_dir():
        raise ItemError(f"rules_directory {folder} is no directory: create it or correct the policy", fault="request")
    return {file.stem: _load_rule(file) for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")}


def _load_rule(file: pathlib.Path) -> dict[str, Any]:
    """Return the functions of one file, or say what is wrong with it."""
    spec = importlib.util.spec_from_file_location(f"virtfleet_rule_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ItemError(f"own rule {file} cannot be read: {type(error).__name__}: {error}", fault="request")
    found = {kind: getattr(module, kind) for kind in _KINDS if callable(getattr(module, kind, None))}
    if not found:
        raise ItemError(f"own rule {file} has neither passes(host, request) nor weigh(host, request)", fault="request")
    return {**found, "digest": hashlib.sha256(file.read_bytes()).hexdigest()}


def fleet_files(path: str) -> list[pathlib.Path]:
    """Return the fleet file of a path, or all of a directory's, in the order of their names."""
    place = pathlib.Path(path).expanduser()
    files = sorted([*place.rglob("*.yml"), *place.rglob("*.yaml")]) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise ItemError(f"{place} is neither a fleet file nor a directory with some", fault="request")
    return files


def load_mapping(file: pathlib.Path) -> Mapping[str, Any]:
    """Return the mapping that a JSON or YAML file holds."""
    try:
        text = file.expanduser().read_text()
        loaded = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ItemError(f"{file} cannot be read: {error}", fault="request")
    if not isinstance(loaded, Mapping):
        raise ItemError(f"{file} must hold one mapping, not {type(loaded).__name__}", fault="request")
    return loaded


def plain(value: Any) -> Any:
    """Return a value that came through Ansible as plain Python data, templates resolved and tags gone."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, str):
        return str(value)
    return value
