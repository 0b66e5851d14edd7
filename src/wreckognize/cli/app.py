"""The tree of commands. Help texts teach; the work is in the modules that the commands import when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wreckognize.cli import using
from wreckognize.cli.fetching import fetch
from wreckognize.cli.options import On, ServeOn, Trust
from wreckognize.cli.plain import commands
from wreckognize.cli.reviewing import review

app = commands(
    "Teach a vehicle detector to recognise wrecks, and prove that it does.\n\n"
    "Start with `wreckognize demo` (drawn photos, five minutes), then `wreckognize init` writes a study file for your "
    "own photos and `wreckognize run study.yaml` does the whole way: collect, label, train, compare, report.",
    name="wreckognize",
)

app.add_typer(review, name="review")
app.add_typer(fetch, name="fetch")

StudyFile = Annotated[
    Path, typer.Argument(help="The study file (YAML).", metavar="STUDY.yaml", show_default=False)
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The run's folder. Default: runs/STUDY below the current folder.", metavar="DIR"),
]
OutOrUrl = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The run's folder. Default: runs/STUDY below the current folder. With an s3:// URL that folder is brought "
        "from there and kept there as well.",
        metavar="DIR",
    ),
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
    on: str | None = None,
    trust: list[str] | None = None,
) -> None:
    from wreckognize.cli.running import run_study

    overrides = [*(set_ or []), *([f"scale.on={on}"] if on else [])]
    run_study(study, step, out=out, overrides=overrides, only=only or [], unlock=unlock, trust=trust or [])


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
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    only: Only = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Do the whole study, from photos to report.

    Collects, splits, labels, trains, looks at the test photos and compares. Leaves the report in
    `RUN/report/index.html`, the same for programs and spreadsheets beside it, and each system in `RUN/systems/NAME`.

    Stages whose settings, versions and input files are unchanged are not done again, so after an interruption the
    same command goes on where it stood.

    Example: `wreckognize run study.yaml --only ver6`
    """
    _run_until("report", study, out, set_, only, unlock, on, trust)


@app.command()
def collect(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Read all sources into the catalog; what cannot be used goes to quarantine.csv with the reason.

    Opens each photo that is drawn once, and writes to none. Leaves `RUN/catalog/photos.parquet`,
    `RUN/catalog/boxes.parquet` and `RUN/quarantine.csv`. No detector looks at them yet.

    Example: `wreckognize collect study.yaml`
    """
    _run_until("collect", study, out, set_, None, unlock, on, trust)


@app.command()
def split(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Collect, look at every photo once with the teacher, then split and lock the test set.

    Photos of one claim and photos that look alike stay together. Leaves `RUN/split.parquet` (train, val, test),
    `RUN/validation.parquet` and `RUN/test.lock.json`: from now on the test set stays as it is. What could not be had
    (a split without a role, say) is printed as a note.

    Example: `wreckognize split study.yaml`
    """
    _run_until("split", study, out, set_, None, unlock, on, trust)


@app.command()
def label(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    only: Only = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Collect, split, and give every system the boxes that it learns from; nothing is trained.

    Each system's labels come from the teacher, from damage boxes or from people, as its recipe says. Leaves
    `RUN/systems/NAME/labels.parquet` (boxes with their origin) and `photos.parquet` (what was left out, and why).
    The point to look at labels, with `wreckognize review export`.

    Example: `wreckognize label study.yaml --only ver6`
    """
    _run_until("label", study, out, set_, only, unlock, on, trust)


@app.command()
def train(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    only: Only = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Everything up to the trained systems; the test set stays shut.

    Trains each system on its labels and keeps its best epoch. Leaves `RUN/systems/NAME/weights/best.safetensors` with
    its card, and log and curves in `training/`. Interrupted, the same command goes on from the last finished epoch.

    Example: `wreckognize train study.yaml --only ver6 --set systems.ver6.train.epochs=5`
    """
    _run_until("train", study, out, set_, only, unlock, on, trust)


@app.command()
def evaluate(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    only: Only = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Everything up to each system's figures on the locked test set.

    Freezes each system's threshold on validation photos, then looks at the test photos; the look is counted. Leaves
    `threshold.json`, `predictions/` and `metrics.json` in `RUN/systems/NAME`. No report is written.

    Example: `wreckognize evaluate study.yaml`
    """
    _run_until("evaluate", study, out, set_, only, unlock, on, trust)


@app.command()
def report(
    study: StudyFile,
    out: OutOrUrl = None,
    set_: Set = None,
    only: Only = None,
    unlock: Unlock = None,
    on: On = None,
    trust: Trust = None,
) -> None:
    """Everything, ending with the report: the same as `run`, under the name of its last step.

    Compares the systems and writes `RUN/report/index.html`, `comparison.json` (also `.csv` and `.md`), `evidence.json`
    and `decisions.csv`. Where all else is done already, nothing is trained or looked at again: the way to have the
    report with another `evidence` section.

    Example: `wreckognize report study.yaml --set evidence.prevalence=0.9`
    """
    _run_until("report", study, out, set_, only, unlock, on, trust)


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
    set_: Set = None,
    trust: Trust = None,
) -> None:
    """Say what is missing (extras, weights, folders, GPU, disk), what would be refused, and what to do about it."""
    from wreckognize.cli.checking import print_diagnosis

    print_diagnosis(study, trust or [], set_ or [])


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
    trust: Trust = None,
) -> None:
    """Rank the photos whose label or truth is probably wrong, each with the reason; a page shows them.

    Trains students on parts of the photos (groups stay whole) and lets each judge the labels it has not seen. That
    takes about as long as training the system once for each fold, and goes on where it stood after an interruption.
    """
    from wreckognize.cli.auditing import audit_study

    audit_study(study, system=system, folds=folds, epochs=epochs, out=out, overrides=set_ or [], trust=trust or [])


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
    trust: Trust = None,
) -> None:
    """Look for a system's best settings on validation photos; the test set stays shut.

    What varies stands under `search` in the study file. Each trial is a training. The same command again goes on where
    it stood, and several at once share the trials.
    """
    from wreckognize.cli.searching import search_study

    search_study(
        study,
        trials=trials,
        minutes=minutes,
        storage=storage,
        out=out,
        overrides=set_ or [],
        trust=trust or [],
    )


app.command()(using.export)
app.command()(using.predict)


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(help="A folder that `wreckognize export` wrote.", metavar="BUNDLE")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(help="Processes, each with the model; one that dies is replaced.", min=1, max=64)
    ] = 1,
    spare: Annotated[
        bool,
        typer.Option(
            "--spare/--no-spare", help="With several workers one more stands by, warm, for one that dies."
        ),
    ] = True,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="A file of API keys (`wreckognize serve-key`). Without it anyone may ask.", metavar="FILE"
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Photos a second for each key, or without keys for each address.", min=0.01),
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option(help="Photos that may come at once before --rate counts. Default: 64, or --photos.", min=1),
    ] = None,
    places: Annotated[
        int, typer.Option(help="Photos in the queue; beyond that the answer is 503 with Retry-After.", min=1)
    ] = 64,
    photos: Annotated[int, typer.Option(help="Photos in one request.", min=1)] = 32,
    photo_mb: Annotated[float, typer.Option(help="MiB of one photo's file.", min=0.01)] = 20,
    megapixels: Annotated[float, typer.Option(help="Megapixels of one photo.", min=0.001, max=200)] = 64,
    deadline: Annotated[float, typer.Option(help="Seconds after which a request is given up.", min=0.1)] = 10,
    batch: Annotated[
        int | None, typer.Option(help="Photos looked at in one go. Default: measured at the start.", min=1)
    ] = None,
    drift: Annotated[
        Path | None,
        typer.Option(help="Keep what drift is reckoned from, and each day's summary.", metavar="DIR"),
    ] = None,
    feedback: Annotated[
        str | None,
        typer.Option(
            help="Take corrections, with consent, and keep them there: a folder of its own, or s3://bucket/prefix.",
            metavar="DIR",
        ),
    ] = None,
    feedback_most: Annotated[int, typer.Option(help="Corrections that are kept there, at most.", min=1)] = 10_000,
    drain: Annotated[
        float,
        typer.Option(help="Seconds in which photos are still taken after SIGTERM, while /readyz says 503.", min=0),
    ] = 2.0,
    log_names: Annotated[
        bool, typer.Option("--log-names", help="Write photos' names into the log; without it none is.")
    ] = False,
    on: ServeOn = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; auto: one of which this machine is part. Without it Ray is started here.",
            metavar="HOST:PORT",
        ),
    ] = None,
    replicas: Annotated[
        str | None,
        typer.Option(
            help="On Ray: copies of the model, one number or two (2-10: as many as needed).", metavar="N"
        ),
    ] = None,
    cores: Annotated[
        int | None, typer.Option(help="On Ray: cores of each copy. Default: 1.", min=1, max=256)
    ] = None,
) -> None:
    """Answer photos over HTTP: `POST /v1/inspect` with one photo or many gives verdicts, scores and boxes.

    `/` is a web page for people. Photos are held in memory only, and nothing is stored but corrections (`--feedback`),
    to which their sender agreed. The log is one JSON line for each request, on standard
    output. SIGTERM finishes what was taken. All of it: docs/service.md.

    Example: `curl -F photos=@car.jpg http://127.0.0.1:8000/v1/inspect`
    """
    from wreckognize.cli.serving import ray_plan, serve_bundle

    serve_bundle(
        bundle,
        host=host,
        port=port,
        workers=workers,
        spare=spare,
        drift=drift,
        drain=drain,
        feedback=feedback,
        feedback_most=feedback_most,
        ray=ray_plan(on, address=address, replicas=replicas, cores=cores, workers=workers),
        keys=keys,
        rate=rate,
        burst=max(64, photos) if burst is None else burst,
        places=places,
        photos=photos,
        photo_bytes=int(photo_mb * 1024 * 1024),
        request_bytes=max(64, int(2 * photo_mb)) * 1024 * 1024,
        pixels=int(megapixels * 1e6),
        deadline=deadline,
        batch=batch,
        log_names=log_names,
    )


@app.command(name="serve-key")
def serve_key(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the log.", metavar="NAME")],
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Append its hash to this file of keys, made if needed.", metavar="FILE"),
    ] = None,
) -> None:
    """Make an API key for `wreckognize serve --keys FILE`: it is printed once, only its hash is kept.

    Example: `wreckognize serve-key claims-portal --file keys.txt`
    """
    from wreckognize.cli.serving import make_key

    make_key(name, file)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder of a finished run.", metavar="RUN")],
    photos: Annotated[
        bool, typer.Option("--photos/--no-photos", help="Read the sources' photos too, as far as they are there.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write everything to this JSON file as well.", metavar="FILE")
    ] = None,
) -> None:
    """Check a finished run: every file against its recorded hash, every figure derived anew.

    Thresholds, figures, intervals, verdicts, tables and the page are derived once more from the stored predictions and
    the truth, and compared with what the run's folder says. A changed byte anywhere is named. Nothing is written.

    Exit code 1 if anything differs. Example: `wreckognize verify runs/claims-2026`
    """
    from wreckognize.cli.verifying import verify_run

    if not verify_run(folder, photos=photos, out=out):
        raise typer.Exit(1)


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
