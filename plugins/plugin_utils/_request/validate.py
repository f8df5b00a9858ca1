# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables against the schema, each error as one sentence. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

try:
    import jsonschema
except ImportError:
    jsonschema = None  # said in one sentence by the action plugin

from ...module_utils._model.schema import VARIABLES
from .problems import Path, Problem, instead, kind, listed, nearest, quoted, told

TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


def plain(value: Any) -> Any:
    """Return the value made of plain lists, mappings and scalars; keys become texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, str) else value


def pattern(_validator: Any, wanted: str, value: Any, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """Yield an error for a text that does not match to its very end: Python's $ would forgive a line feed there."""
    if isinstance(value, str) and not re.search(wanted.replace("$)", r"\Z)").removesuffix("$") + r"\Z", value):
        yield jsonschema.ValidationError(f"{value!r} does not match {wanted!r}")


def validator(schema: Mapping[str, Any]) -> jsonschema.Validator:
    """Return the validator of a schema, strict about patterns."""
    return jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": pattern})(schema)


def validate(spec: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the variables, in their order."""
    problems = []
    for variable, schema in VARIABLES.items():
        if variable not in spec:
            continue
        problems += odd_keys(spec[variable], (variable,))
        errors = list(validator(schema).iter_errors(plain(spec[variable])))
        meant = {key for error in errors for key in meant_keys(error)}
        problems += [one for error in errors for one in sentences(error, (variable, *error.absolute_path), meant)]
    return list(dict.fromkeys(problems))


def odd_keys(value: Any, path: Path) -> Iterator[Problem]:
    """Yield every key that is not a text: YAML reads 1, yes and 2026-01-01 as something else."""
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str):
                yield Problem((*path, str(key)), f"is a key that YAML reads as {kind(key)}: write it in quotes")
            yield from odd_keys(one, (*path, str(key)))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from odd_keys(one, (*path, index))


def meant_keys(error: jsonschema.ValidationError) -> Iterator[Path]:
    """Yield the keys that misspelt ones are near to; that they are missing is no news then."""
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        yield from ((*error.absolute_path, nearest(key, known)) for key in error.instance if key not in known)


def sentences(error: jsonschema.ValidationError, path: Path, meant: set[Path]) -> list[Problem]:
    """Return the error as problems: one for each unknown or missing key, else one."""
    value, wanted = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        return [Problem((*path, key), unknown(key, known)) for key in value if key not in known]
    if error.validator == "required":
        missing = [key for key in wanted if key not in value and (*path[1:], key) not in meant]
        return [Problem(path, f"has no {quoted(key)}: it must be given") for key in missing]
    if error.validator == "enum" and not isinstance(value, str):
        return []  # its type is told
    if "propertyNames" in error.absolute_schema_path:
        return [Problem(path, f"has the key {quoted(value)}: it must be {name_form(error.schema)}")]
    return [Problem(path, one_sentence(error, value, wanted))]


def unknown(key: str, known: Mapping[str, Any]) -> str:
    """Return the sentence about an unknown key."""
    close = nearest(key, known)
    guess = f"did you mean {quoted(close)}? " if close else ""
    return f"is not a known key: {guess}Known are {', '.join(known)}"


def name_form(schema: Mapping[str, Any]) -> str:
    """Return what a name must look like."""
    return schema.get("x-valid") or f"a text of {schema.get('minLength', 0)} to {schema['maxLength']} characters"


def one_sentence(error: jsonschema.ValidationError, value: Any, wanted: Any) -> str:
    """Return the sentence about a value that is there and wrong."""
    secret = error.schema.get("x-secret", False)
    shown = f"is {told(value)}" if not secret else "is not right"
    if error.validator == "type":
        return wrong_type(value, [wanted] if isinstance(wanted, str) else wanted, secret)
    if error.validator == "enum":
        return f"is {quoted(value)}: {instead(value, wanted)}"
    if error.validator == "minimum":
        return f"{shown}: it must be at least {wanted}"
    if error.validator == "maximum":
        return f"{shown}: it must be at most {wanted}"
    if error.validator == "pattern":
        return f"{shown}: it must be {error.schema['x-valid']}"
    if error.validator == "minLength":
        return f"is empty: it must have at least {wanted} character{'s' if wanted > 1 else ''}"
    if error.validator == "maxLength":
        return f"has {len(value)} characters: it may have at most {wanted}"
    if error.validator == "minItems":
        return f"is an empty list: it must have at least {wanted} entr{'ies' if wanted > 1 else 'y'}"
    if error.validator in ("maxItems", "maxProperties"):
        return f"has {len(value)} entries: it may have at most {wanted}"
    if error.validator == "uniqueItems":
        twice = [one for index, one in enumerate(value) if one in value[:index]]
        return f"names {listed(quoted(str(one)) for one in twice)} twice: once is enough"
    return f"does not fit the schema: {error.validator} {quoted(str(wanted))}"


def wrong_type(value: Any, wanted: list[str], secret: bool) -> str:
    """Return the sentence about a value of the wrong type, with the way out where there is a usual one."""
    kinds = [TYPES[one] for one in wanted if one != "null"]
    # What should be a list or a mapping may hold anything, also secrets: only its kind is told.
    shown = "of another type" if secret else told(value)
    if not secret and {"object", "array"} & set(wanted) and isinstance(value, str):
        shown = "a text"
    says = f"is {shown}: it must be {' or '.join(kinds)}"
    if isinstance(value, str) and "integer" in wanted and value.strip().lstrip("+-").isdigit():
        return f"{says}; write it without quotes, or add '| int' to the template"
    if not isinstance(value, (str, list, dict, type(None))) and wanted[0] == "string":
        return f"{says}; write it in quotes"
    return says
