"""YAML text to plain values, each with its line; and back.

Knows nothing of studies. Reads with PyYAML's safe loader and on top of it refuses what a study never needs and an
attacker does: documents over 1 MB, deep nesting, aliases that expand without end, tags, duplicate keys.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from wreckognize.errors import Problem, StudyError

Key = tuple[str | int, ...]
"""The way to a value: ``("systems", "ver5", "train", "epochs")``, ``("sources", 0, "images")``."""

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 20_000  # after aliases are expanded
MAX_DIGITS = 400  # of a number: in base 60, as YAML has it, reading takes the square of their count

_TAG = "tag:yaml.org,2002:"
_EXPONENT = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$")
_BREAK = re.compile("[\r\n\x85\u2028\u2029]")
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {
    first: [pair for pair in pairs if pair[0] != f"{_TAG}timestamp"]  # a date is text
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(yaml.SafeLoader):
    """The safe loader, with ``1e-4`` a number as in YAML 1.2; nesting and length are bounded while it is read."""

    depth = count = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        self.count += 1
        mark = parent.start_mark if parent else None
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"values nested more than {MAX_DEPTH} deep", problem_mark=mark)
        if self.count > 2 * MAX_VALUES:  # keys count here as well
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_VALUES:,} values", problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads back as it was: text that looks like ``1e4`` goes into quotes."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # only double quotes keep every line break as it is; PyYAML chooses single ones
        return self.represent_scalar(f"{_TAG}str", data, style='"' if _BREAK.search(data) else None)


_Loader.yaml_implicit_resolvers = {first: list(pairs) for first, pairs in _RESOLVERS.items()}
_Dumper.add_representer(str, _Dumper.represent_str)
_Dumper.yaml_implicit_resolvers = {first: list(pairs) for first, pairs in _RESOLVERS.items()}
_Loader.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))
_Dumper.add_implicit_resolver(f"{_TAG}float", _EXPONENT, list("-+.0123456789"))


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping: its values, the line of each (from 1), and what was wrong short of being unreadable."""

    content: dict[str, Any]
    lines: Mapping[Key, int]
    problems: tuple[Problem, ...]


def read_document(path: Path) -> Document:
    """Read a file that holds one YAML mapping, UTF-8 (with or without BOM) or UTF-16 with BOM.

    Raises:
        StudyError: no such file, too large, not text, not YAML, empty, or not a mapping.
    """
    file = str(path)
    try:
        if not path.is_file():
            found = "a folder" if path.is_dir() else "no such file"
            _refuse(file, found, "a study file", "`wreckognize init` writes one to start from")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        _refuse(file, f"a file that cannot be read ({error})", "a study file", "check its path and permissions")
    if len(data) > MAX_BYTES:
        _refuse(file, f"more than {MAX_BYTES:,} bytes", "a study file of a few kilobytes", "check the path")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(f"{file}:{line}", "bytes that are not UTF-8", "text in UTF-8", "save the file again as UTF-8")
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """As `read_document`, from text; ``file`` is what problems call it."""
    node = _compose(text, file)
    if node is None:
        _refuse(file, "an empty document", "a study", "`wreckognize init` writes one to start from")
    if not isinstance(node, yaml.MappingNode):
        _refuse(f"{file}:1", "a document without keys", "`key: value` lines, as in `study: my-study`")
    builder = _Builder(file)
    content = builder.value(node, ())
    if not isinstance(content, dict):  # it has a tag
        raise StudyError(builder.problems)
    return Document(content, builder.lines, tuple(builder.problems))


def parse_value(text: str, file: str) -> Any:
    """One YAML value, as it stands behind ``--set key=``; an empty text is ``None``.

    Raises:
        StudyError: it is not YAML.
    """
    node = _compose(text, file)
    if node is None:
        return None
    builder = _Builder(file)
    value = builder.value(node, ())
    if builder.problems:
        raise StudyError(builder.problems)
    return value


def dump(content: Mapping[str, Any]) -> str:
    """Plain values as YAML in their own order; `parse_document` gives them back equal."""
    return yaml.dump(dict(content), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=115)


def plain(values: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Values from Python as those of a document: copied, tuples as lists, keys as text.

    Raises:
        StudyError: not a mapping, or nested more than `MAX_DEPTH` deep.
    """
    if not isinstance(values, Mapping):
        _refuse(file, f"a value of the type {type(values).__name__}", "a mapping")

    def copied(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            _refuse(file, f"values nested more than {MAX_DEPTH} deep", "a study")
        if isinstance(value, Mapping):
            return {str(key): copied(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [copied(inner, depth + 1) for inner in value]
        return value

    result: dict[str, Any] = copied(values, 0)
    return result


def _refuse(file: str, found: str, expected: str, remedy: str = "") -> NoReturn:
    raise StudyError([Problem(file, "", found, expected, remedy)])


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = ord(error.character) if isinstance(error.character, str) else error.character
        _refuse(f"{file}:{line}", f"a character that YAML forbids (U+{code:04X})", "printable text", "delete it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        what = " ".join(part for part in (error.context, error.problem) if part)
        _refuse(place, f"not YAML: {what}", "YAML", "check quotes, brackets, colons and the indentation there")
    except (ValueError, OverflowError) as error:  # PyYAML lets those of int() and chr() through
        _refuse(file, f"not YAML: {error}", "YAML", "check numbers and escapes such as \\U0001F600")


@dataclass(slots=True)
class _Builder:
    """Nodes to values. An alias is expanded each time it is met, so no two values share a list or mapping."""

    file: str
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    def value(self, node: yaml.Node, key: Key) -> Any:
        self.count += 1
        self.lines.setdefault(key, node.start_mark.line + 1)
        if self.count > MAX_VALUES or len(key) > MAX_DEPTH:
            limit = f"{MAX_VALUES:,} values" if self.count > MAX_VALUES else f"{MAX_DEPTH} levels"
            _refuse(
                self._place(node), f"aliases that expand to more than {limit}", "a study", "write the values out"
            )
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, key)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*key, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        self._problem(node, key, f"the tag {node.tag}", "a plain value", "delete the tag")
        return None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self._problem(name_node, key, "a key that is a list or mapping", "a text")
                continue
            if name_node.tag == f"{_TAG}merge":
                merged |= self._merged(value_node, key)
                continue
            name = name_node.value  # as it is written: `2026:` and `on:` are texts here
            if name in result:
                self._problem(
                    name_node, (*key, name), "the key a second time", "each key once", "delete one of them"
                )
                continue
            self.lines[(*key, name)] = name_node.start_mark.line + 1
            result[name] = self.value(value_node, (*key, name))
        return result | {name: value for name, value in merged.items() if name not in result}

    def _merged(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        """What ``<<: *alias`` or ``<<: [*one, *two]`` brings in; earlier ones win."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        for part in parts:
            value = self.value(part, (*key, "<<"))
            if isinstance(value, dict):
                result = value | result
            else:
                self._problem(part, (*key, "<<"), "a value without keys", "a mapping to merge")
        return result

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        kind = node.tag.removeprefix(_TAG)
        constructor = yaml.constructor.SafeConstructor()
        try:
            if kind in ("int", "float") and len(node.value) > MAX_DIGITS:
                raise ValueError
            match kind:
                case "str" | "value" | "merge":
                    return node.value
                case "null":
                    return None
                case "bool":
                    return constructor.construct_yaml_bool(node)
                case "int":
                    return constructor.construct_yaml_int(node)
                case "float":
                    return constructor.construct_yaml_float(node)
        except (ValueError, KeyError, IndexError, OverflowError):
            self._problem(node, key, f"{node.value[:40]!r}, which is no {kind}", f"a value of the type {kind}")
            return None
        self._problem(node, key, f"the tag {node.tag}", "a plain value", "delete the tag")
        return None

    def _problem(self, node: yaml.Node, key: Key, found: str, expected: str, remedy: str = "") -> None:
        self.problems.append(Problem(self._place(node), key_text(key), found, expected, remedy))

    def _place(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}"


def key_text(key: Key) -> str:
    """A key as people write it.

    >>> key_text(("sources", 0, "images"))
    'sources[0].images'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")
