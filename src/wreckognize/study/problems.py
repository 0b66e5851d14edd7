"""Collecting problems: where a key was written, and pydantic's errors in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from wreckognize.errors import Problem
from wreckognize.study.reader import Key, key_text

Model = TypeVar("Model", bound=BaseModel)

_LISTED = 12  # of many known names, the nearest are listed

NAME_IN_WORDS = "a name of letters, digits and . _ - that begins with a letter or digit, at most 80 in all"
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes if it looks like a number)",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "path_type": "a path",
    "dict_type": "a section of keys",
    "model_type": "a section of keys",
    "finite_number": "a finite number",
    "string_pattern_mismatch": NAME_IN_WORDS,
    "greater_than_equal": "{ge:g} or more",
    "greater_than": "more than {gt:g}",
    "less_than_equal": "{le:g} or less",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "too_short": "at least one",
    "literal_error": "{expected}",
    "value_error": "{error}",
}


@dataclass(slots=True)
class Problems:
    """A list of problems that knows where each key was written.

    Attributes:
        file: what the study file is called.
        lines: line of each key in it.
        sets: keys that ``--set`` wrote, with its text.
        found: the problems so far.
    """

    file: str
    lines: Mapping[Key, int] = field(default_factory=dict)
    sets: dict[Key, str] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)

    def add(self, key: Key, found: str, expected: str, remedy: str = "") -> None:
        """Note one problem."""
        self.found.append(Problem(self.place(key), key_text(key), found, expected, remedy))

    def place(self, key: Key) -> str:
        """``study.yaml:14``, ``--set KEY=VALUE``, or the file alone: the nearest place known for a key."""
        for length in range(len(key), 0, -1):
            part = key[:length]
            if part in self.sets:
                return f"--set {self.sets[part]}"
            if part in self.lines:
                return f"{self.file}:{self.lines[part]}"
        return self.file

    def unknown(self, key: Key, name: str, known: Iterable[str], what: str = "key") -> None:
        """Note a name that is not among the known ones, with the nearest of them."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        if len(names) > _LISTED:
            names = [*difflib.get_close_matches(name, names, n=_LISTED, cutoff=0), "..."]
        listed = f"one of {', '.join(names)}" if names else f"no {what}"
        self.add(key, f"unknown {what} {show(name)}", listed, f"did you mean {near[0]!r}?" if near else "")

    def validated(self, model: type[Model], raw: Mapping[str, Any], key: Key) -> Model | None:
        """The model made from plain values, or ``None`` with its problems noted under ``key``."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            self._add_validation(error.errors(include_url=False), model, raw, key)
            return None

    def _add_validation(
        self, errors: list[ErrorDetails], model: type[BaseModel], raw: Mapping[str, Any], key: Key
    ) -> None:
        """One problem for each value at fault; what the branches of a union expect is joined by "or"."""
        expected: dict[Key, list[str]] = {}
        values: dict[Key, Any] = {}
        for error in errors:
            place, value = _follow(error, raw)
            if error["type"] == "extra_forbidden":
                self.unknown((*key, *place), str(place[-1]), _model_at(model, place[:-1]).model_fields)
                continue
            values[place] = value
            words = _words(error)
            if words not in expected.setdefault(place, []):
                expected[place].append(words)
        for place, phrases in expected.items():
            self.add((*key, *place), show(values[place]), " or ".join(phrases))


def show(value: object) -> str:
    """A value from a study as a short text."""
    if value is None:
        return "nothing"
    try:
        text = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # a number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _words(error: ErrorDetails) -> str:
    template = _EXPECTED.get(error["type"])
    if error["type"] == "missing":
        return "a value"
    if error["type"] == "less_than" and error.get("ctx", {}).get("lt") == 1:
        # 95 for 95 % is the likely mistake
        percent = error["input"] if isinstance(error["input"], int | float) and 1 < error["input"] < 100 else 95
        return f"a share below 1, e.g. {percent / 100:g}"
    return template.format(**error.get("ctx", {})) if template else error["msg"]


def _model_at(model: type[BaseModel], place: Key) -> type[BaseModel]:
    """The model of the section at ``place`` in a model."""
    for part in place:
        field = model.model_fields.get(str(part))
        inner = [] if field is None else [field.annotation, *get_args(field.annotation)]
        models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
        model = models[0] if models else model
    return model


def _follow(error: ErrorDetails, raw: Mapping[str, Any]) -> tuple[Key, Any]:
    """The part of an error's location that exists in the values; the rest names branches of a union."""
    value: Any = raw
    place: Key = ()
    for part in error["loc"]:
        if isinstance(value, Mapping) and part in value:
            value = value[str(part)]
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif error["type"] == "missing":
            return (*place, part), None
        else:
            break
        place = (*place, part)
    return place, value
