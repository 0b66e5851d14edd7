"""Every error this package raises on purpose.

WreckognizeError               what, where, what to do; carries the exit code of the command
|- UsageError                  2: wrong use or wrong input
|  |- StudyError               2: every problem of a study file at once
|  |- WorkspaceError           2: the run's folder is held by another run, read-only, or not a run
|  |- WriteError               2: the disk takes no more: no room, a quota, read-only, or it fails
|  |- MissingExtraError        2: an optional part of the package is not installed
|  |- StorageError             2: object storage is not there, may not be read, or keeps failing
|  |- ClusterError             2: other machines cannot be used, or failed too often
|  |- DownloadError            2: a file cannot be fetched
|  |- WeightsError             2: weights are missing or are not what they were said to be
|  `- BundleError              2: a bundle is missing something, was changed, or is of another version
|- GuardError                  1: a guard or gate said no
|  |- LeakError                1: photos stand on both sides of the split
|  |- LockError                1: the locked test set would change
|  |- HashError                1: a file that was fetched is not the one that was asked for
|  |- ParityError              1: an exported model does not decide as the original does
|  `- TooManyFailuresError     1: more of a source failed than the study allows
|- TrainingError               1: a training process ended without a result
|- EngineError                 1: an engine gave an answer that is none
`- InputError                  one photo or one label cannot be used; a stage turns it into a quarantine row
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class WreckognizeError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: what is wrong, with the value that was found.
        where: file, key or line.
        remedy: what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(self._text())

    def __reduce__(self) -> tuple[object, ...]:
        """Errors come whole from other processes, whatever their constructors ask for."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def _text(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  what to do: {self.remedy}" if self.remedy else head


def _rebuilt(
    kind: type[WreckognizeError], args: tuple[object, ...], attributes: dict[str, object]
) -> WreckognizeError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class UsageError(WreckognizeError):
    """Wrong use or wrong input."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a study: which file and key, what was found, what was expected, what to do."""

    file: str
    key: str
    found: str
    expected: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        text = f"{place}: found {self.found}; expected {self.expected}"
        return f"{text}\n    what to do: {self.remedy}" if self.remedy else text


class StudyError(UsageError):
    """Everything wrong with a study, listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1))
        super().__init__(f"{count} problem{'' if count == 1 else 's'} in the study; nothing was written\n{lines}")


class WorkspaceError(UsageError):
    """The run's folder cannot be used."""


class WriteError(UsageError):
    """A file cannot be written: no room, a quota or limit is reached, or the disk is read-only or fails."""


class MissingExtraError(UsageError):
    """An optional part of the package is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        super().__init__(
            f"{needed_for} needs the extra [{extra}], which is not installed",
            remedy=f'pip install "wreckognize[{extra}]"',
        )


class StorageError(UsageError):
    """Object storage is not there, may not be read or written, or keeps failing."""


class ClusterError(UsageError):
    """Other machines cannot be used: not to be reached, of other versions, or failing too often."""


class WeightsError(UsageError):
    """Weights are missing, unreadable, or of another architecture."""


class BundleError(UsageError):
    """A bundle is missing something, was changed since it was written, or is of another version."""


class DownloadError(UsageError):
    """A file cannot be fetched; the message says where to put it by hand."""


class GuardError(WreckognizeError):
    """A guard or gate said no."""

    exit_code = 1


class LeakError(GuardError):
    """Photos that belong together stand on both sides of the split."""

    def __init__(self, photos: Sequence[str], what: str, *, remedy: str = "") -> None:
        self.photos = tuple(photos)
        super().__init__(what, remedy=remedy)


class LockError(GuardError):
    """The locked test set would change."""


class ParityError(GuardError):
    """An exported model does not decide as the original does.

    Attributes:
        photos: names of those whose verdict differs.
    """

    def __init__(self, what: str, *, remedy: str, photos: Sequence[str] = ()) -> None:
        self.photos = tuple(photos)
        super().__init__(what, remedy=remedy)


class HashError(GuardError):
    """A file that was fetched is not the one that was asked for."""


class TooManyFailuresError(GuardError):
    """More of a source failed than the study allows.

    Attributes:
        rows: source, file, reason and what to do, for all that failed.
    """

    def __init__(self, what: str, *, remedy: str, rows: Sequence[tuple[str, str, str, str]] = ()) -> None:
        self.rows = tuple(rows)
        super().__init__(what, remedy=remedy)


class TrainingError(WreckognizeError):
    """A training process ended without a result."""

    exit_code = 1


class EngineError(WreckognizeError):
    """An engine gave an answer that is none, such as boxes that are not numbers, or cannot work at all."""

    exit_code = 1


InputKind = Literal["unreadable", "not_a_photo", "too_many_pixels", "too_small", "pixel_format"]
"""What is wrong with a photo, for programs: the reason is for people."""


class InputError(WreckognizeError):
    """One photo or one label cannot be used. Stages turn it into a quarantine row; it never ends a run."""

    exit_code = 1

    def __init__(self, reason: str, *, remedy: str, where: str = "", kind: InputKind = "unreadable") -> None:
        self.reason, self.kind = reason, kind
        super().__init__(reason, where=where, remedy=remedy)
