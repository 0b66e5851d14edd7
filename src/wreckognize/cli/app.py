"""The tree of commands. Help texts teach; the work is in the modules that the commands import when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from wreckognize.cli import using
from wreckognize.cli.reviewing import review

app = typer.Typer(
    name="wreckognize",
    help="Teach a vehicle detector to recognise wrecks, and prove that it does.\n\n"
    "Start with `wreckognize demo` (drawn photos, five minutes), then `wreckognize init` writes a study file for your "
    "own photos and `wreckognize run study.yaml` does the whole way: collect, label, train, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

app.add_typer(review, name="review")

StudyFile = Annotated[
    Path, typer.Argument(help="The study file (YAML).", metavar="STUDY.yaml", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder. Default: runs/STUDY below the current folder.", metavar="DIR"),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Set any field, e.g. systems.ver5.train.epochs=5. May be repeated.", metavar="KEY=VALUE"
    ),
]
On = Annotated[
    Literal["here", "ray"] | None,
    typer.Option(
        "--on",
        help="Who looks at the photos: this process, or the machines of a Ray cluster (scale.address; without one, a "
        "Ray on this machine). The tables are the same.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Work on this system (and those it learns from) only. May be repeated.", metavar="SYSTEM"
    ),
]
Unlock = Annotated[
    str | None,
    typer.Option(
        "--unlock",
        help="Let the locked test set change, and say why. The reason stays in test.lock.json and in the report.",
        metavar="REASON",
    ),
]


def _run_until(
    step: str,
    study: Path,
    out: Path | None,
    set_: list[str] | None,
    only: list[str] | None,
    unlock: str | None = None,
    on: str | None = None,
) -> None:
    from wreckognize.cli.running import run_study

    overrides = [*(set_ or []), *([f"scale.on={on}"] if on else [])]
    run_study(study, step, out=out, overrides=overrides, only=only or [], unlock=unlock)


def _show_version(wanted: bool) -> None:
    if wanted:
        from wreckognize import __version__

        typer.echo(f"wreckognize {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None, on: On = None
) -> None:
    """Do the whole study, from photos to report.

    Collects, splits, labels, trains, looks at the test photos and compares. Leaves the report in
    `RUN/report/index.html`, the same for programs and spreadsheets beside it, and each system in `RUN/systems/NAME`.

    Stages whose settings, versions and input files are unchanged are not done again, so after an interruption the
    same command goes on where it stood.

    Example: `wreckognize run study.yaml --only ver6`
    """
    _run_until("report", study, out, set_, only, unlock, on)


@app.command()
def collect(study: StudyFile, out: Out = None, set_: Set = None, unlock: Unlock = None) -> None:
    """Read all sources into the catalog; what cannot be used goes to quarantine.csv with the reason.

    Opens every photo once and writes to none. Leaves `RUN/catalog/photos.parquet`, `RUN/catalog/boxes.parquet` and
    `RUN/quarantine.csv`. No detector looks at them yet.

    Example: `wreckognize collect study.yaml`
    """
    _run_until("collect", study, out, set_, None, unlock)


@app.command()
def split(study: StudyFile, out: Out = None, set_: Set = None, unlock: Unlock = None, on: On = None) -> None:
    """Collect, look at every photo once with the teacher, then split and lock the test set.

    Photos of one claim and photos that look alike stay together. Leaves `RUN/split.parquet` (train, val, test),
    `RUN/validation.parquet` and `RUN/test.lock.json`: from now on the test set stays as it is. What could not be had
    (a split without a role, say) is printed as a note.

    Example: `wreckognize split study.yaml`
    """
    _run_until("split", study, out, set_, None, unlock, on)


@app.command()
def label(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None, on: On = None
) -> None:
    """Collect, split, and give every system the boxes that it learns from; nothing is trained.

    Each system's labels come from the teacher, from damage boxes or from people, as its recipe says. Leaves
    `RUN/systems/NAME/labels.parquet` (boxes with their origin) and `photos.parquet` (what was left out, and why).
    The point to look at labels, with `wreckognize review export`.

    Example: `wreckognize label study.yaml --only ver6`
    """
    _run_until("label", study, out, set_, only, unlock, on)


@app.command()
def train(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None, on: On = None
) -> None:
    """Everything up to the trained systems; the test set stays shut.

    Trains each system on its labels and keeps its best epoch. Leaves `RUN/systems/NAME/weights/best.safetensors` with
    its card, and log and curves in `training/`. Interrupted, the same command goes on from the last finished epoch.

    Example: `wreckognize train study.yaml --only ver6 --set systems.ver6.train.epochs=5`
    """
    _run_until("train", study, out, set_, only, unlock, on)


@app.command()
def evaluate(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None, on: On = None
) -> None:
    """Everything up to each system's figures on the locked test set.

    Freezes each system's threshold on validation photos, then looks at the test photos; the look is counted. Leaves
    `threshold.json`, `predictions/` and `metrics.json` in `RUN/systems/NAME`. No report is written.

    Example: `wreckognize evaluate study.yaml`
    """
    _run_until("evaluate", study, out, set_, only, unlock, on)


@app.command()
def report(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None, on: On = None
) -> None:
    """Everything, ending with the report: the same as `run`, under the name of its last step.

    Compares the systems and writes `RUN/report/index.html`, `comparison.json` (also `.csv` and `.md`), `evidence.json`
    and `decisions.csv`. Where all else is done already, nothing is trained or looked at again: the way to have the
    report with another `evidence` section.

    Example: `wreckognize report study.yaml --set evidence.prevalence=0.9`
    """
    _run_until("report", study, out, set_, only, unlock, on)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.", metavar="[FILE]")] = Path("study.yaml"),
) -> None:
    """Write a commented study file to start from. An existing file is never replaced."""
    from wreckognize.cli.running import write_template

    write_template(file)


@app.command()
def doctor(
    study: Annotated[
        Path | None, typer.Argument(help="A study file to check as well.", metavar="[STUDY.yaml]")
    ] = None,
) -> None:
    """Say what is missing (extras, weights, folders, GPU, disk) and what to do about it."""
    from wreckognize.cli.checking import print_diagnosis

    print_diagnosis(study)


@app.command()
def audit(
    study: StudyFile,
    system: Annotated[
        str | None,
        typer.Option(help="Whose labels. Default: the last system that is trained.", metavar="NAME"),
    ] = None,
    folds: Annotated[
        int, typer.Option(help="Students to train; each looks at the photos it did not learn from.", min=2, max=20)
    ] = 3,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each student. Default: the system's own.", min=1)
    ] = None,
    out: Out = None,
    set_: Set = None,
) -> None:
    """Rank the photos whose label or truth is probably wrong, each with the reason; a page shows them.

    Trains students on parts of the photos (groups stay whole) and lets each judge the labels it has not seen. That
    takes about as long as training the system once for each fold, and goes on where it stood after an interruption.
    """
    from wreckognize.cli.auditing import audit_study

    audit_study(study, system=system, folds=folds, epochs=epochs, out=out, overrides=set_ or [])


@app.command()
def search(
    study: StudyFile,
    trials: Annotated[
        int | None, typer.Option(help="Settings to try, by all processes together. Default: the study's, else 20.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no trial later than this. Default: the study's, else no limit.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="An Optuna storage that several machines share. Default: an SQLite file in the run's folder.",
            metavar="URL",
        ),
    ] = None,
    out: Out = None,
    set_: Set = None,
) -> None:
    """Look for a system's best settings on validation photos; the test set stays shut.

    What varies stands under `search` in the study file. Each trial is a training. The same command again goes on where
    it stood, and several at once share the trials.
    """
    from wreckognize.cli.searching import search_study

    search_study(study, trials=trials, minutes=minutes, storage=storage, out=out, overrides=set_ or [])


app.command()(using.export)
app.command()(using.predict)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option("--out", help="The run's folder; the drawn photos go to DIR-photos.", metavar="DIR")
    ] = Path("runs/demo"),
    scale: Annotated[
        float, typer.Option(help="Share of the full demo's photos, for a quick look.", min=0.1, max=1.0)
    ] = 1.0,
) -> None:
    """Draw a collection of damaged and intact cars and run a whole study on it, in about five minutes on two cores."""
    from wreckognize.cli.running import run_demo

    run_demo(out, scale=scale)
