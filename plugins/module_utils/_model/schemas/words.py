# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What schemas are put together from: texts, numbers, choices, lists, records, names. Private to this collection."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

INT32 = 2**31 - 1


def text(description: str, **more: Any) -> Schema:
    """Return the schema of a text of 1 to 255 characters."""
    return {"type": "string", "description": description, "minLength": 1, "maxLength": 255, **more}


def number(description: str, minimum: int = 0, maximum: int = INT32, **more: Any) -> Schema:
    """Return the schema of a whole number."""
    return {"type": "integer", "description": description, "minimum": minimum, "maximum": maximum, **more}


def choice(description: str, *values: str, **more: Any) -> Schema:
    """Return the schema of one word out of several."""
    return {"type": "string", "description": description, "enum": list(values), **more}


def listing(description: str, items: Schema, **more: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "description": description, "items": items, "default": [], **more}


def record(description: str, required: list[str], properties: dict[str, Schema], **more: Any) -> Schema:
    """Return the schema of a mapping with fixed keys."""
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def catalogue(description: str, names: Schema, entries: Schema, example: Any) -> Schema:
    """Return the schema of a mapping from names the user chooses to entries."""
    return {
        "type": "object",
        "description": description,
        "propertyNames": names,
        "additionalProperties": entries,
        "default": {},
        "examples": [example],
    }


def or_null(schema: Schema) -> Schema:
    """Return the schema with null allowed, which means the same as leaving the key out."""
    return {**schema, "type": [schema["type"], "null"]}


NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?!\s)[^\x00-\x1f\x7f/]*(?<!\s)$",
    "x-valid": "1 to 255 printable characters without '/' and without a space at either end",
}
PLAIN_NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
    "x-valid": "letters, digits, '_', '.' and '-', beginning with a letter or digit, at most 64",
}
PROPERTIES = {
    "type": "object",
    "propertyNames": {"type": "string", "minLength": 1, "maxLength": 255},
    "additionalProperties": {"type": ["string", "integer", "boolean"]},
    "default": {},
}
