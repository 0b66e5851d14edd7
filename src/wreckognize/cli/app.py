"""The tree of commands. Help texts teach; the work is in the modules that the commands import when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
) -> None:
    from wreckognize.cli.running import run_study

    run_study(study, step, out=out, overrides=set_ or [], only=only or [], unlock=unlock)


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
def run(study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None) -> None:
    """Do the whole study, from photos to report.

    Stages whose settings, versions and input files are unchanged are not done again, so after an interruption the
    same command goes on where it stood.
    """
    _run_until("report", study, out, set_, only, unlock)


@app.command()
def collect(study: StudyFile, out: Out = None, set_: Set = None, unlock: Unlock = None) -> None:
    """Read all sources into the catalog; what cannot be used goes to quarantine.csv with the reason."""
    _run_until("collect", study, out, set_, None, unlock)


@app.command()
def split(study: StudyFile, out: Out = None, set_: Set = None, unlock: Unlock = None) -> None:
    """Collect, look at every photo once with the teacher, then split and lock the test set."""
    _run_until("split", study, out, set_, None, unlock)


@app.command()
def label(study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None) -> None:
    """Everything up to each system's labels."""
    _run_until("label", study, out, set_, only, unlock)


@app.command()
def train(study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None) -> None:
    """Everything up to the trained systems."""
    _run_until("train", study, out, set_, only, unlock)


@app.command()
def evaluate(
    study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None
) -> None:
    """Everything up to each system's figures on the locked test set."""
    _run_until("evaluate", study, out, set_, only, unlock)


@app.command()
def report(study: StudyFile, out: Out = None, set_: Set = None, only: Only = None, unlock: Unlock = None) -> None:
    """Everything, ending with the report: the same as `run`."""
    _run_until("report", study, out, set_, only, unlock)


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
def predict(
    weights: Annotated[
        Path,
        typer.Argument(
            help="A system of a run (RUN/systems/NAME), or a .safetensors or .pt file.", metavar="SYSTEM"
        ),
    ],
    photos: Annotated[list[str], typer.Argument(help="Photos, folders of photos, or globs.", metavar="PHOTOS...")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write to this file (.jsonl or .csv) instead of the screen.", metavar="FILE"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Vehicle if the score is at least this. Default: the system's, else 0.10.")
    ] = None,
    imgsz: Annotated[
        int | None, typer.Option(help="Pixels of the longest side. Default: the system's, else 640.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What runs the network: torch, openvino or onnxruntime.", metavar="ENGINE")
    ] = "torch",
) -> None:
    """Look for vehicles in photos: one JSON line each, with verdict, score and boxes.

    A system of a run also gives a third answer: vehicle, no_vehicle, or to_a_person where it should not decide alone.

    A photo that cannot be read has a line of its own with the reason, and does not stop the rest.
    """
    from wreckognize.cli.predicting import predict_photos

    predict_photos(weights, photos, out=out, threshold=threshold, imgsz=imgsz, engine=engine)


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
