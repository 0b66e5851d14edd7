"""How numbers, names and free text are written on the page."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

import yaml

ABSENT = "–"
"""What stands where a figure cannot be said."""

_PERCENT = "\N{NO-BREAK SPACE}%"

_LOOSE = re.compile(r"(?<=\d) %")
_AS_IS = re.compile(r"(<(?:pre|bdi|q|style)\b.*?</(?:pre|bdi|q|style)>)", re.DOTALL)

# A folder path inside a sentence: /a/b or C:\a\b, not the tail of a URL, a fraction or a relative path.
_POSIX_PATH = re.compile(r"(?<![\w.…~/:-])~?(?:/[^\s/'\"`,;:()<>]+){2,}/?")
_WINDOWS_PATH = re.compile(r"(?<!\w)(?:[A-Za-z]:\\|\\\\)[^\s'\"`,;:()<>]+")
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:.*/)?([^/]*)/?", re.DOTALL)
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_TURNING = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that turn the direction of a text round: with one, ``photo-gpj.exe`` reads as ``photo-exe.jpg``."""
_CONTROL: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **{code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), 0x2028, 0x2029, 0xFEFF, *_TURNING)},
}


def percent(share: float | None) -> str:
    r"""A share of 0 to 1 with one decimal; never rounded to all or to none of it.

    >>> percent(0.9961), percent(1.0), percent(0.99999), percent(0.0002), percent(None)
    ('99.6\xa0%', '100.0\xa0%', '>99.9\xa0%', '<0.1\xa0%', '–')
    """
    if share is None:
        return ABSENT
    text = f"{100 * share:.1f}"
    if text == "100.0" and share < 1:
        return f">99.9{_PERCENT}"
    if text == "0.0" and share > 0:
        return f"<0.1{_PERCENT}"
    return f"{text}{_PERCENT}"


def rate(text: str) -> str:
    r"""A false-alarm rate as `comparison.json` keys it, in percent.

    >>> rate("0.025"), rate("0.05")
    ('2.5\xa0%', '5\xa0%')
    """
    return f"{100 * float(text):g}{_PERCENT}"


def count(number: float | None) -> str:
    """A whole number with thousands marked.

    >>> count(12000)
    '12,000'
    """
    return ABSENT if number is None else f"{number:,.0f}"


def decimal(number: float | None, places: int = 3) -> str:
    """A number with fixed decimals.

    >>> decimal(0.98765)
    '0.988'
    """
    return ABSENT if number is None else f"{number:,.{places}f}"


def threshold(value: float) -> str:
    """A confidence threshold with at least two decimals.

    >>> threshold(0.1), threshold(0.125)
    ('0.10', '0.125')
    """
    text = f"{value:g}"
    return text if len(text.partition(".")[2]) > 2 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """A time span in its two largest units.

    >>> duration(42), duration(758), duration(9000)
    ('42 s', '12 min 38 s', '2 h 30 min')
    """
    if seconds is None:
        return ABSENT
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(number: int, one: str, many: str = "") -> str:
    """A count and its noun.

    >>> plural(1, "photo"), plural(2000, "photo")
    ('1 photo', '2,000 photos')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def first_of(name: str, trainings: int) -> str:
    """A system's name where what is said of it is of its first training only.

    >>> first_of("ver6", 3), first_of("baseline", 1)
    ('ver6 (first of 3 trainings)', 'baseline')
    """
    return name if trainings == 1 else f"{name} (first of {trainings} trainings)"


def unbroken(html: str) -> str:
    r"""A page in which no line ends between a number and its percent sign; code and file names stay as they are.

    >>> unbroken("5 % of it, <pre>5 % of it</pre>")
    '5 % of it, <pre>5 % of it</pre>'
    """
    parts = _AS_IS.split(html)
    return "".join(part if place % 2 else _LOOSE.sub(_PERCENT, part) for place, part in enumerate(parts))


def listed(names: list[str]) -> str:
    """Names in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def visible(text: str, at_most: int = 200) -> str:
    r"""Text from a file or a file name, its control characters made visible and its length bounded.

    >>> visible("two\nlines"), visible("photo-\u202egpj.exe")
    ('two␊lines', 'photo-\\u202egpj.exe')
    """
    shown = text.translate(_CONTROL)
    return shown if len(shown) <= at_most else f"{shown[: at_most - 1]}…"


def hide_folders(text: str) -> str:
    """Free text without absolute paths: of each, only the last part stays. A report is handed round.

    >>> hide_folders("cannot read /home/jane/photos/a.jpg: 1/2 of coco/b.jpg")
    'cannot read …/a.jpg: 1/2 of coco/b.jpg'
    """
    home = str(Path.home())
    if len(home) > 1:  # a home folder whose name has spaces would be cut in the middle by the patterns below
        text = text.replace(home + "/", "/~/")
    text = _WINDOWS_PATH.sub(lambda found: f"…/{PureWindowsPath(found[0]).name}", text)
    return _POSIX_PATH.sub(lambda found: f"…/{PurePosixPath(found[0]).name}", text)


def hide_folders_in_yaml(text: str) -> str:
    """A YAML document in which a value that is an absolute path or a URL keeps only its last part, an address its port.

    Raises:
        yaml.YAMLError: if ``text`` is not YAML.
    """

    def hidden(value: object) -> object:
        if isinstance(value, dict):
            return {key: hidden(item) for key, item in value.items()}
        if isinstance(value, list):
            return [hidden(item) for item in value]
        if isinstance(value, str):
            if address := _ADDRESS.fullmatch(value):
                return f"…:{address[1]}"
            if url := _URL.fullmatch(value):
                return f"{url[1]}…/{url[2] if '/' in value.removeprefix(url[1]).rstrip('/') else ''}"
            for kind in (PurePosixPath, PureWindowsPath):
                if kind(value).is_absolute():
                    return f"…/{kind(value).name}"
            return hide_folders(value)
        return value

    return yaml.safe_dump(hidden(yaml.safe_load(text)), sort_keys=False, allow_unicode=True, width=100)
