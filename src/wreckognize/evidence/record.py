"""What is written to a file of a run and read again: dataclasses to JSON values and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec

from wreckognize.errors import UsageError


class Record:
    """A dataclass that goes to JSON values and comes back; ``CALLED`` says in words what it is."""

    __slots__ = ()
    CALLED = "a record"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, keys in the order of the fields."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gave; unknown fields are passed over.

        Raises:
            UsageError: a field is missing or has a wrong type; its path is named.
        """
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise UsageError(
                f"this is not {cls.CALLED}: {error}",
                where=cls.CALLED.split(" ", 1)[1],
                remedy="make it again with this version: wreckognize report STUDY.yaml",
            ) from error
