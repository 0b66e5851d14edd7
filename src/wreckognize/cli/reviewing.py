"""``wreckognize review``: photos out to an annotation tool, people's boxes back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wreckognize.cli.options import Trust
from wreckognize.cli.plain import commands

if TYPE_CHECKING:
    from wreckognize.stages.feedback import FeedbackTaken

review = commands(
    "Let people review labels in Label Studio, or in any tool that reads COCO or YOLO files, most doubtful first; "
    "what they draw becomes truth. docs/review.md has the steps."
)

_StudyFile = Annotated[
    Path, typer.Argument(help="The study file (YAML).", metavar="STUDY.yaml", show_default=False)
]
_Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder. Default: runs/STUDY below the current folder.", metavar="RUN"),
]


class _Tool(StrEnum):
    label_studio = "label-studio"
    coco = "coco"
    yolo = "yolo"


class _Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"
    all = "all"


@review.command("export")
def export(
    study: _StudyFile,
    to: Annotated[_Tool, typer.Option("--to", help="The tool, or the format of its files.")],
    system: Annotated[
        str | None,
        typer.Option(help="Whose labels are drawn. Default: the last trained system.", metavar="NAME"),
    ] = None,
    split: Annotated[_Split, typer.Option(help="Whose photos.")] = _Split.all,
    limit: Annotated[
        int | None, typer.Option(help="At most so many photos, the first in the order.", min=1, metavar="N")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="A new folder to write. Default: RUN/review/TOOL.", metavar="DIR"),
    ] = None,
    blank: Annotated[
        bool,
        typer.Option(
            "--blank",
            help="For a truth that nobody suggested: no boxes, no verdict, no reasons, and the order by lot.",
        ),
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Also photos that were reviewed before.")] = False,
    out: _Out = None,
    trust: Trust = None,
) -> None:
    """Copy photos into a folder with their labels drawn, most doubtful first.

    The order comes from `wreckognize audit` where it was done; else photos with only a fallback box come first, then
    those with the least confident box. With `--blank` it is drawn by lot, since the order alone would tell which photos
    a model is unsure of.
    """
    from wreckognize.cli.console import Console
    from wreckognize.stages.reviewing import export_review
    from wreckognize.study import Study

    loaded = Study.load(study, trust=trust or [])
    done = export_review(
        loaded,
        out or Path("runs") / loaded.study,
        tool=to.value,
        folder=into,
        system=system,
        split=split.value,
        limit=limit,
        blank=blank,
        again=again,
        progress=Console(),
    )
    by = "by lot" if blank else "by the audit" if done.audited else "without an audit"
    typer.echo(f"{done.photos} photos, {by}: {done.folder}")
    for drawn_by, count in sorted(done.drawn_by.items()):
        typer.echo(f"  {count} with {f'boxes: {drawn_by}' if drawn_by else 'no box'}")
    if to is _Tool.label_studio:
        typer.echo(
            "start Label Studio with\n"
            "  LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
            f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT='{done.folder.parent}' label-studio start"
        )
    typer.echo("order.csv lists the photos; then: wreckognize review import STUDY.yaml FILE")


@review.command("import")
def import_(
    study: _StudyFile,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="What came back: the JSON file of Label Studio or COCO, or the folder of YOLO files; or the folder "
            "(or s3://...) where the service keeps corrections. May be left out with --resolve.",
            metavar="FILE_OR_DIR",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        _Tool | None, typer.Option("--from", help="The tool it is from. Default: as it looks.")
    ] = None,
    reviewer: Annotated[
        str | None,
        typer.Option(
            help="Who answered. Default: the user that Label Studio names, or the access key of a correction.",
            metavar="NAME",
        ),
    ] = None,
    looked_at: Annotated[
        str | None,
        typer.Option(
            help="COCO and YOLO: how many photos of the export were looked at, from the first on, or `all`. "
            "Default: those whose boxes changed.",
            metavar="N",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="COCO and YOLO: the exported folder. Default: where the file lies.", metavar="DIR"),
    ] = None,
    resolve: Annotated[
        list[str] | None,
        typer.Option(
            help="Whose answer counts where reviewers differ: NAME, or PHOTO=NAME for one photo. May be repeated.",
            metavar="NAME",
        ),
    ] = None,
    out: _Out = None,
    trust: Trust = None,
) -> None:
    """Take people's boxes into the reviews file, which the study then names.

    If one answer cannot be right, all such are listed and nothing is written. Importing the same again changes
    nothing. Where two reviewers differ, the photos are named, the exit code is 1, and what was drawn on these photos is
    not used until one of them decides (`--resolve`).
    """
    from datetime import UTC, datetime

    from wreckognize.errors import GuardError, UsageError
    from wreckognize.stages.reviewing import import_review
    from wreckognize.study import Study

    if source is None and not resolve:
        raise UsageError("no file is named", where="FILE_OR_DIR", remedy="name what the annotation tool exported")
    loaded = Study.load(study, trust=trust or [])
    done = import_review(
        loaded,
        out or Path("runs") / loaded.study,
        source,
        now=datetime.now(UTC).isoformat(timespec="seconds"),
        tool=from_.value if from_ else None,
        reviewer=reviewer,
        looked_at=_looked_at(looked_at),
        export=export,
        choices=resolve or (),
    )
    merged = done.merged
    if source is not None:
        typer.echo(
            f"{merged.added} new, {merged.replaced} replaced, {merged.unchanged} as before, {merged.older} older than "
            f"what is known (not taken); without an answer: {done.unanswered} (skipped: {done.skipped})"
        )
    if done.incomplete:
        typer.echo(f"not taken, as a vehicle is said but no box is drawn ({len(done.incomplete)}):")
        for place in done.incomplete:
            typer.echo(f"  {place}")
    typer.echo(f"{len(merged.reviews)} reviews: {done.file}")
    if done.feedback is not None:
        _say_feedback(done.feedback, study)
    if not done.named and (merged.reviews or done.feedback is None):
        typer.echo(f"add this line to {study}, else they are not used:\nreviews: [{done.file.name}]")
    if done.conflicts:
        lines = "\n".join(f"  {one.photo}: {one.why}" for one in done.conflicts)
        raise GuardError(
            f"photos on which reviewers differ, so that what they drew is not used: {len(done.conflicts)}\n{lines}",
            where=str(done.conflicts_file),
            remedy="let them agree and import again, or let one decide with --resolve NAME or --resolve PHOTO=NAME",
        )
    differing = done.feedback.contradicted if done.feedback is not None else ()
    if differing:
        lines = "\n".join(f"  {one}" for one in differing)
        raise GuardError(
            f"new photos on which people differ, so that they were not taken: {len(differing)}\n{lines}",
            where=str(source),
            remedy="let them agree (each one's last word counts), or take the wrong correction out of the folder",
        )


def _say_feedback(feedback: FeedbackTaken, study: Path) -> None:
    """What became of corrections, besides the reviews."""
    roles = ", ".join(f"{count} {role}" for role, count in sorted(feedback.added.items())) or "none"
    typer.echo(
        f"{feedback.corrections} corrections; photos new to the study: {roles}, {feedback.present} there before; "
        f"{feedback.confirmed} corrections say what the study says: {feedback.folder}"
    )
    if feedback.gone:
        typer.echo(f"not taken, as the photo is gone: {', '.join(feedback.gone)}")
    if feedback.test_photos:
        typer.echo(
            f"photos of the locked test set ({len(feedback.test_photos)}), whose truth may change; the next evaluation "
            f"counts as another look at it: {', '.join(feedback.test_photos)}"
        )
    if feedback.sources:
        typer.echo(f"add these lines under `sources:` of {study}, else the new photos are not used:")
        for line in feedback.sources:
            typer.echo(f"  {line}")


def _looked_at(given: str | None) -> int | Literal["all"] | None:
    from wreckognize.errors import UsageError

    if given is None:
        return None
    if given == "all":
        return "all"
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(
            f"{given!r} is no number of photos", where="--looked-at", remedy="give 1 or more, or `all`"
        )
    return int(given)
