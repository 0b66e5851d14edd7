"""Which label belongs to which photo, where each photo has a label file of its own.

AI-Hub keeps photos and labels in parallel trees: ``TS_x/...`` beside ``TL_x/...``, ``VS_`` beside ``VL_``; YOLO
sets keep ``images`` beside ``labels``. A pair has the same folder, those words read as one, and the same stem.
What is left over pairs by the stem alone where only one photo and one label have it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wreckognize.collect.ledger import Ledger
from wreckognize.collect.walk import File, compose
from wreckognize.errors import InputError

_TREE_PREFIX = re.compile(r"^([TV])[LS]_")
_TREE_WORDS = frozenset({"images", "image", "labels", "label"})


@dataclass(frozen=True, slots=True)
class Pairs:
    """Photos with their label, and photos without; both sorted by the photo's name."""

    labelled: list[tuple[File, File]]
    unlabelled: list[File]


def pair(photos: Sequence[File], labels: Sequence[File], ledger: Ledger) -> Pairs:
    """Pair photos with labels; labels without a photo and whatever competes are quarantined."""
    by_place, photos, labels = _pair_by(_by_folder(), photos, labels, ledger)
    by_stem, photos, labels = _pair_by(_stem, photos, labels, ledger)
    orphan = InputError("label without photo", remedy="fetch its photo, or take the label away")
    for label in labels:
        ledger.quarantine(label.path, orphan)
    labelled = sorted(by_place + by_stem, key=lambda both: both[0].name)
    return Pairs(labelled, sorted(photos, key=lambda photo: photo.name))


def unlabelled_photo() -> InputError:
    """The reason for a photo that needs a label and has none."""
    return InputError("photo without label", remedy="fetch its label, or take the photo away")


def _pair_by(
    key: Callable[[File], str], photos: Sequence[File], labels: Sequence[File], ledger: Ledger
) -> tuple[list[tuple[File, File]], list[File], list[File]]:
    """Pair under one key; returns the pairs, and the photos and labels that have no partner under it."""
    pairs: list[tuple[File, File]] = []
    spare_photos: list[File] = []
    label_of = {key(label): label for label in labels}
    places = {key(photo): photo for photo in photos}
    if len(label_of) == len(labels) and len(places) == len(photos):  # nothing competes
        for place, photo in places.items():
            label = label_of.pop(place, None)
            if label is None:
                spare_photos.append(photo)
            else:
                pairs.append((photo, label))
        return pairs, spare_photos, list(label_of.values())
    labels_by_key = _grouped(labels, key)
    for place, same_photos in _grouped(photos, key).items():
        same_labels = labels_by_key.pop(place, ())
        if not same_labels:
            spare_photos += same_photos
        elif len(same_photos) == len(same_labels) == 1:
            pairs.append((same_photos[0], same_labels[0]))
        else:
            one_photo = len(same_photos) == 1
            reason = "two labels of one name for a photo" if one_photo else "two photos of one name for a label"
            remedy = "give each photo and its label a name of their own, or put them into matching folders"
            for photo in same_photos:
                ledger.quarantine(photo.path, InputError(reason, remedy=remedy))
    return pairs, spare_photos, [label for same_labels in labels_by_key.values() for label in same_labels]


def _grouped(files: Iterable[File], key: Callable[[File], str]) -> dict[str, Sequence[File]]:
    groups: dict[str, tuple[File, ...] | list[File]] = {}
    for file in files:
        place = key(file)
        same = groups.get(place)
        if same is None:
            groups[place] = (file,)  # nearly always the only one, and a tuple is the smallest
        elif isinstance(same, list):
            same.append(file)
        else:
            groups[place] = [*same, file]
    return dict(groups)


def _by_folder() -> Callable[[File], str]:
    """The key by folder and stem; a folder's part of it is made once."""
    known: dict[str, str] = {}

    def folder_and_stem(file: File) -> str:
        folder, slash, last = file.name.rpartition("/")
        prefix = known.get(folder)
        if prefix is None:
            words = [_tree_word(compose(word)) for word in folder.split("/")] if slash else []
            prefix = known[folder] = "".join(f"{word}/" for word in words)
        stem, _, ending = last.rpartition(".")  # as `File.stem`, without taking the name apart again
        return prefix + compose(stem if stem and ending else last)

    return folder_and_stem


def _tree_word(folder: str) -> str:
    return "images" if folder.lower() in _TREE_WORDS else _TREE_PREFIX.sub(r"\1_", folder)


def _stem(file: File) -> str:
    return file.stem
