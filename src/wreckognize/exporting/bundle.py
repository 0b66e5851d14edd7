"""A bundle on disk: reading one with every byte checked, and writing one whole or not at all.

The hashes show what was changed by accident or by hand. They are no signature: who can write the whole folder can
write fitting hashes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wreckognize.detectors.port import Detector
from wreckognize.errors import BundleError, UsageError
from wreckognize.exporting.card import Card
from wreckognize.exporting.manifest import (
    CARD,
    CARD_TEXT,
    MANIFEST,
    MODEL_FILES,
    PARITY,
    FileRecord,
    Manifest,
    canonical_text,
    own_sha256,
    version_of,
)
from wreckognize.exporting.models import open_model
from wreckognize.exporting.verdicts import Answer, Verdict, answer_of
from wreckognize.files import atomic_folder, sha256_of
from wreckognize.inference.stream import Look, StreamSettings
from wreckognize.reading import RECORD_BYTES, read_regular

_AGAIN = "copy the bundle again from where it was made, or export it again"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A detector ready for use, read from its folder by `read_bundle`.

    Attributes:
        folder: where it lies.
        manifest: ``bundle.json``.
        card: ``card.json``.
    """

    folder: Path
    manifest: Manifest
    card: Card

    def open(self, threads: int | None = None, *, requests: int | None = None) -> Detector:
        """Load the model, see `wreckognize.exporting.models.open_model`."""
        return open_model(self.folder, self.manifest, threads=threads, requests=requests)

    def stream_settings(self, *, batch: int = 8, workers: int = 2) -> StreamSettings:
        """How photos go through it: what `wreckognize.inference.stream.look_at` takes."""
        return self.manifest.stream_settings(batch=batch, workers=workers)

    def verdict(self, score: float) -> Verdict:
        """The verdict that a score gives."""
        return self.manifest.rule.verdict(score)

    def answer(self, look: Look) -> Answer:
        """What is said about a photo that was looked at without an error."""
        return answer_of(look, self.manifest.rule, self.manifest.shown)


def is_bundle(folder: Path) -> bool:
    """Whether a folder says that it is a bundle."""
    return (folder / MANIFEST).is_file()


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check every byte of it.

    Raises:
        BundleError: it is no bundle, a file is missing or was changed (it is named), or it is of another version.
    """
    values = _read_values(folder)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise _invalid(folder / MANIFEST, error) from None
    _check_manifest(folder / MANIFEST, values, manifest)
    for name, record in sorted(manifest.files.items()):
        _check_file(folder / name, record)
    try:
        card = Card.model_validate_json((folder / CARD).read_bytes())
    except ValidationError as error:
        raise _invalid(folder / CARD, error) from None
    return Bundle(folder.absolute(), manifest, card)


def _read_values(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    try:
        data = read_regular(file, RECORD_BYTES)
    except OSError as error:
        raise BundleError(
            f"not a bundle: {MANIFEST} cannot be read ({error.strerror})",
            where=str(folder),
            remedy="name a folder that `wreckognize export` wrote",
        ) from error
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError("changed or damaged: not JSON", where=str(file), remedy=_AGAIN) from error
    if not isinstance(values, dict):
        raise BundleError("changed or damaged: not a manifest", where=str(file), remedy=_AGAIN)
    if values.get("format") not in (None, 1):
        raise BundleError(
            f"a bundle of format {values['format']}; this version reads format 1",
            where=str(file),
            remedy="use a newer version of wreckognize, or export the system again with this one",
        )
    try:
        same = own_sha256(values) == values.get("sha256") and canonical_text(values).encode() == data
    except (ValueError, RecursionError):  # NaN, half of a surrogate pair, brackets without end: never written here
        same = False
    if not same:
        raise BundleError("changed since it was written", where=str(file), remedy=_AGAIN)
    return values


def _check_manifest(file: Path, values: Mapping[str, Any], manifest: Manifest) -> None:
    needed = {*MODEL_FILES[manifest.engine], CARD, CARD_TEXT, PARITY}
    missing = sorted(needed - set(manifest.files))
    if missing:
        raise BundleError(f"no hash of {', '.join(missing)}", where=str(file), remedy=_AGAIN)
    if version_of(values) != manifest.version:
        raise BundleError("its version is not that of its files and settings", where=str(file), remedy=_AGAIN)


def _check_file(file: Path, record: FileRecord) -> None:
    try:
        size = file.stat().st_size
        found = sha256_of(file) if size == record.size else None
    except OSError as error:
        raise BundleError(f"cannot be read ({error.strerror})", where=str(file), remedy=_AGAIN) from error
    if found is None:
        raise BundleError(f"{size} bytes; it was written with {record.size}", where=str(file), remedy=_AGAIN)
    if found != record.sha256:
        raise BundleError(
            f"changed since it was written (sha256 {found[:12]}..., written {record.sha256[:12]}...)",
            where=str(file),
            remedy=_AGAIN,
        )


def _invalid(file: Path, error: ValidationError) -> BundleError:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return BundleError(f"not as it should be: {place}: {first['msg']}", where=str(file), remedy=_AGAIN)


@contextmanager
def new_bundle(target: Path) -> Iterator[Path]:
    """Yield a folder to put a bundle together in; at the end it stands at ``target``, or nothing does.

    Raises:
        UsageError: there is something at ``target`` already, or it cannot be written to.
    """
    try:
        with atomic_folder(target) as folder:
            yield folder
    except FileExistsError as error:
        raise UsageError(
            "there is something already", where=str(target), remedy="choose a new folder, or move that away first"
        ) from error


def seal(folder: Path, manifest: Manifest, card: Card, *, card_text: str, parity: Mapping[str, Any]) -> Manifest:
    """Write everything but the model's files, which stand in ``folder``, and hash it all.

    Args:
        folder: of `new_bundle`.
        manifest: with ``files``, ``version`` and ``sha256`` still open.
        card: for programs.
        card_text: the same for people, Markdown.
        parity: the whole comparison with the original.

    Returns:
        The manifest as it was written.
    """
    (folder / CARD).write_text(canonical_text(card.model_dump(mode="json")), encoding="utf-8")
    (folder / CARD_TEXT).write_text(card_text, encoding="utf-8")
    (folder / PARITY).write_text(canonical_text(parity), encoding="utf-8")
    sealed = manifest.model_copy(update={"files": records_of(folder)}).sealed()
    (folder / MANIFEST).write_text(sealed.to_text(), encoding="utf-8")
    return sealed


def records_of(folder: Path) -> dict[str, FileRecord]:
    """Size and hash of every file of a bundle but its manifest."""
    files = sorted(file for file in folder.iterdir() if file.name != MANIFEST)
    return {file.name: FileRecord(sha256=sha256_of(file), size=file.stat().st_size) for file in files}
