"""JSON as label files have it: fast where a file is as it should be, patient and precise where it is not."""

from __future__ import annotations

import json
from typing import Any

from wreckognize.errors import InputError
from wreckognize.reading import LABEL_BYTES, read_regular

REMEDY = "fetch the label again, or correct it"


def read_bytes(path: str, at_most: int = LABEL_BYTES) -> bytes:
    """The bytes of a label file without a byte order mark.

    Raises:
        InputError: if it cannot be read, is empty or larger than ``at_most`` bytes.
    """
    try:
        return without_mark(read_regular(path, at_most))
    except OSError as error:
        raise unreadable(error) from error


def without_mark(data: bytes) -> bytes:
    """A label's bytes without a byte order mark.

    Raises:
        InputError: if nothing is left.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise InputError("empty label", remedy=REMEDY)
    return data


def unreadable(error: OSError) -> InputError:
    """What is said of a label file that cannot be read."""
    return InputError("label cannot be read", where=error.strerror or "", remedy=REMEDY)


def parse_json(data: bytes) -> Any:
    """Parse JSON of any shape; NaN and Infinity are let through, for the reader to say which box has them.

    Text that is not UTF-8 is read as CP949, the Korean code page of Windows.

    Raises:
        InputError: if it is not JSON.
    """
    try:
        return json.loads(as_text(data))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise InputError("broken JSON", where=where, remedy=REMEDY) from error
    except RecursionError as error:
        raise InputError("broken JSON", where="nested too deeply", remedy=REMEDY) from error
    except ValueError as error:  # an integer of more digits than Python takes
        raise InputError("broken JSON", where=str(error), remedy=REMEDY) from error


def as_text(data: bytes) -> str:
    """Decode UTF-8, else CP949.

    Raises:
        InputError: if it is neither.
    """
    for encoding in ("utf-8", "cp949"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError("label is not text", where="neither UTF-8 nor CP949", remedy=REMEDY)


def wrong_shape(where: str) -> InputError:
    """Valid JSON, but not of the shape that the format asks for."""
    return InputError("wrong-shaped JSON", where=where, remedy=REMEDY)


def numbers(value: object) -> list[float] | None:
    """A list of numbers, written as numbers or as text; None if it is not one.

    >>> numbers(["1", 2.5])
    [1.0, 2.5]
    """
    if not isinstance(value, list) or any(isinstance(item, bool) for item in value):
        return None
    try:
        return [float(item) for item in value]
    except (TypeError, ValueError, OverflowError):
        return None
