"""The model card as Markdown: English first, the same in Korean below."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from wreckognize.exporting.card import Card, Text
from wreckognize.exporting.gate import Comparison
from wreckognize.exporting.manifest import Manifest

Language = Literal["en", "ko"]

_HEADINGS: dict[str, Text] = {
    "forced": Text(en="**This bundle did not pass its check.**", ko="**이 모델은 검사를 통과하지 못했습니다.**"),
    "decision": Text(en="How it decides", ko="판정 방법"),
    "limits": Text(en="What it cannot do", ko="한계"),
    "figures": Text(en="How good it is", ko="성능"),
    "parity": Text(en="Agreement with the original", ko="원본과의 일치"),
    "data": Text(en="Photos of the study", ko="연구의 사진"),
    "licence": Text(en="Licence", ko="라이선스"),
}


def as_markdown(card: Card, manifest: Manifest, comparison: Comparison) -> str:
    """The card for people.

    Args:
        card: what is said.
        manifest: for the hashes of what it was made from.
        comparison: for the table of thresholds.
    """
    lines = [f"# {card.title}", ""]
    for language in ("en", "ko"):
        lines += _part(card, comparison, language)
    lines += ["## Hashes", "", f"* original weights: `{manifest.weights_sha256}`"]
    lines += ["* every file of this bundle: in `bundle.json`, checked whenever it is opened", ""]
    return "\n".join(lines)


def _part(card: Card, comparison: Comparison, language: Language) -> Iterator[str]:
    def heading(name: str) -> Iterator[str]:
        yield from (f"## {_in(_HEADINGS[name], language)}", "")

    if card.forced:
        yield from (_in(_HEADINGS["forced"], language), "")
    yield from (_in(card.about, language), "")
    yield from heading("decision")
    yield from (_in(card.decision, language), "")
    yield from heading("limits")
    yield from (f"* {_in(limit, language)}" for limit in card.limits)
    yield ""
    yield from heading("figures")
    yield from (_in(card.figures_note, language), "")
    if card.figures:
        yield from ("| | | 95 % |" if language == "ko" else "| figure | value | interval |", "|---|---|---|")
        for figure in card.figures:
            interval = (
                "–" if figure.low is None or figure.high is None else f"{figure.low:.3f} – {figure.high:.3f}"
            )
            yield f"| {_in(figure.title, language)} | {figure.share:.3f} | {interval} |"
        yield ""
    yield from heading("parity")
    yield from (_in(card.parity, language), "")
    if language == "en":
        yield from _crossings(comparison)
    if card.data and language == "en":
        yield from heading("data")
        yield from ("| source | role | split | photos |", "|---|---|---|---|")
        yield from (f"| {_cell(row.source)} | {row.role} | {row.split} | {row.photos} |" for row in card.data)
        yield ""
    yield from heading("licence")
    yield from (_in(card.licence, language), "")


def _crossings(comparison: Comparison) -> Iterator[str]:
    yield from ("| threshold | photos decided otherwise |", "|---|---|")
    yield from (f"| {name} {at.threshold:g} | {at.flipped} |" for name, at in comparison.thresholds.items())
    yield ""
    if comparison.human is not None and comparison.human.original is not None:
        found = comparison.human
        yield from (
            f"mAP50-95 against {found.boxes} boxes that people drew on {found.photos} photos: original "
            f"{found.original:.3f}, bundle {found.bundle:.3f}.",
            "",
        )
    if comparison.agreement is not None:
        yield from (f"mAP50-95 against the original's own boxes: {comparison.agreement.bundle:.3f}.", "")


def _in(text: Text, language: Language) -> str:
    return text.en if language == "en" else text.ko


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
