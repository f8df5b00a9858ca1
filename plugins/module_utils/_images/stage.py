# Copyright (c) The virtfleet.compute authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stage image does for a list: each distinct image is obtained once, whoever of the items wants it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Union

from .._bulk import Outcome
from .._model.errors import ItemError
from . import cache
from .image import Base, Image, check_fit, from_record
from .room import Users

DOWNLOADS = 4  # at once; more only share the same line

# What became of an image: it is cached, or how far it is in words, or why it cannot be.
Answer = Union[Base, str, ItemError]
Answers = dict[str, Answer]


def wanted(record: dict[str, Any] | None) -> Image | ItemError | None:
    """Return the image of a record, or what is wrong with it; None for an instance that has no image."""
    try:
        return from_record(record) if record and (record.get("name") or record.get("url")) else None
    except ItemError as error:
        return error


def wanted_by(item: dict[str, Any]) -> list[Image | ItemError | None]:
    """Return the images of an item: its own, then those of its volumes that are made from another; None for none."""
    if "image" not in item and "volumes" not in item:
        return [wanted(item)]
    return [wanted(item.get("image")), *(wanted(one["image"]) for one in with_image(item))]


def with_image(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the volumes of an instance that are made from an image of their own."""
    return [one for one in item.get("volumes") or () if one.get("image")]


def cached(images: str, asked: Iterable[Any]) -> dict[str, Base]:
    """Return which of the images are in the cache, by id."""
    found = {image.id: cache.find(images, image) for image in _distinct(asked)}
    return {key: base for key, base in found.items() if base}


def obtain(asked: Iterable[Any], seconds: float, ensure: Callable[[Image, float | None], Base | str]) -> Answers:
    """Return what became of each distinct image, by id, after so many seconds at most (0: as long as it takes).

    `ensure` brings one image into the cache, by a deadline (of time.monotonic).
    """
    deadline = time.monotonic() + seconds if seconds else None

    def take(image: Image) -> tuple[str, Answer]:
        try:
            return image.id, ensure(image, deadline)
        except ItemError as error:
            return image.id, error

    with ThreadPoolExecutor(max_workers=DOWNLOADS) as pool:
        return dict(pool.map(take, _distinct(asked)))


def outcome(item: dict[str, Any], image: Any, before: Base | None, answer: Answer | None, images: str) -> Outcome:
    """Return what stage image means for one item; an answer of None is the plan: it would be fetched."""
    name = item["name"]
    if image is None:
        return Outcome(name)
    for error in (image, answer):
        if isinstance(error, ItemError):
            return Outcome(name, error=str(error), fault=error.fault)
    changed = {} if before else {"image": image.name, "url": image.urls[0]}
    if isinstance(answer, str):
        return Outcome(name, changed=True, after={"image": image.name, "fetched": answer})
    facts: dict[str, Any] = {"format": image.format}
    if answer is None and "image" in item:
        facts["path"] = cache.planned(images, image)
    elif answer is not None:
        try:
            check_fit(image, answer, item.get("flavor") or {})
        except ItemError as error:
            return Outcome(name, changed=not before, error=str(error), fault=error.fault, after=changed)
        facts = {**facts, "path": cache.path(images, answer), "virtual_size": answer.virtual_size}
    return Outcome(name, changed=not before, after=changed, facts=_placed(item, facts))


def outcomes(item: dict[str, Any], asked: list[Any], before: Answers, answers: Answers, images: str) -> Outcome:
    """Return what stage image means for an item and all its images; the first that fails is told."""
    volumes = [{"name": item["name"], "image": one["image"]} for one in with_image(item)]
    told = []
    for each, image in zip([item, *volumes], asked):
        identity = getattr(image, "id", None)
        told.append(outcome(each, image, before.get(identity), answers.get(identity), images))
    failed = next((one for one in told if one.error), None)
    if failed or not volumes:
        return failed or told[0]
    known = iter(one.facts.get("image") for one in told[1:])
    placed = [{**one, "image": next(known) or one["image"]} if one.get("image") else one for one in item["volumes"]]
    return Outcome(
        item["name"],
        changed=any(one.changed for one in told),
        after=next((one.after for one in told if one.after), {}),
        facts={**told[0].facts, "volumes": placed},
    )


def verified(item: dict[str, Any], images: str, change: bool) -> Outcome:
    """Return what reading all of a cached image has shown."""
    base = cache.verify(images, item["name"], _identity(item), change)
    facts = {"path": cache.path(images, base), "verified_at": base.verified_at} if base else {}
    return Outcome(item["name"], facts={"cached": bool(base), **facts})


def removed(item: dict[str, Any], images: str, run_dir: str, users: Users, change: bool) -> Outcome:
    """Return that the image is not in the cache any more."""
    gone = cache.remove(images, run_dir, item["name"], _identity(item), users, change)
    return Outcome(item["name"], changed=gone, before={"image": item["name"]} if gone else {}, facts={"cached": False})


def _identity(item: dict[str, Any]) -> str:
    """Return the id of an image, which is given, as module images_info tells it, or follows from the catalogue."""
    if item.get("id"):
        if re.fullmatch("[0-9a-f]{32}", item["id"]):  # it becomes a part of a path
            return str(item["id"])
        raise ItemError(f"id is {item['id']!r}, but must be 32 hexadecimal digits", fault="request")
    return from_record(item.get("image") or item).id


def pending(answers: Answers) -> list[str]:
    """Return how far each unfinished image is."""
    return sorted(answer for answer in answers.values() if isinstance(answer, str))


def _distinct(asked: Iterable[Any]) -> list[Image]:
    return list({image.id: image for image in asked if isinstance(image, Image)}.values())


def _placed(item: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Facts about the image of an instance go into its image; those about an image into itself."""
    return {"image": {**item["image"], **facts}} if "image" in item else facts
