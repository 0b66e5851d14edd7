"""The commands that use a finished study: `export` writes a system as a bundle, `predict` decides about photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from wreckognize.cli.options import On, Trust


def export(
    system: Annotated[
        Path,
        typer.Argument(help="A system of a finished run, trained or not.", metavar="RUN/systems/NAME"),
    ],
    to: Annotated[
        Literal["onnx", "openvino", "tensorrt", "safetensors"],
        typer.Option(
            "--to",
            help="onnx runs anywhere; openvino is fastest on a CPU; tensorrt needs a GPU of NVIDIA, here too; "
            "safetensors keeps torch.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The bundle's folder; it must not be there yet.", metavar="BUNDLE")
    ],
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Eight-bit numbers, learnt on training photos: faster, coarser. For openvino."
        ),
    ] = False,
    max_flips: Annotated[
        float, typer.Option(help="Share of validation photos that may be decided otherwise than by the original.")
    ] = 0.005,
    photos: Annotated[
        int, typer.Option(help="Compare on at most so many validation photos, drawn by the study's seed.", min=1)
    ] = 1000,
    to_a_person: Annotated[
        bool | None,
        typer.Option(
            "--to-a-person/--one-threshold",
            help="Decide with the third answer, or by the one threshold. Default: the third answer where the study "
            "could keep both of its promises.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write it even if it decides otherwise; card and manifest are marked.")
    ] = False,
    trust: Trust = None,
) -> None:
    """Write a system as one folder that needs nothing else: model, thresholds, model card, hashes.

    Before it appears it is compared with the original on the run's validation photos. If more photos are decided
    otherwise than --max-flips allows, they are listed, nothing is written, and the exit code is 1.

    Example: `wreckognize export runs/claims-2026/systems/ver6 --to openvino --out ver6-bundle`
    """
    from wreckognize.cli.exporting import export_system

    export_system(
        system,
        to,
        out,
        int8=int8,
        max_flips=max_flips,
        photos=photos,
        force=force,
        to_a_person=to_a_person,
        trust=trust or [],
    )


def predict(
    model: Annotated[
        Path,
        typer.Argument(
            help="A bundle, a system of a run (RUN/systems/NAME), or a .safetensors, .onnx or .pt file.",
            metavar="BUNDLE|SYSTEM",
        ),
    ],
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos, folders of photos, globs, or s3://BUCKET/PREFIX; - reads names from standard input, one a "
            "line.",
            metavar="PHOTOS...",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write to this file or s3:// URL (.jsonl, .csv or .parquet) instead of the screen. Interrupted, the "
            "same command goes on where it stood (files only).",
            metavar="FILE",
        ),
    ] = None,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="Names on standard input end in a NUL byte (find -print0).")
    ] = False,
    claims: Annotated[
        str | None,
        typer.Option(
            help="Decide claims too: a CSV file with the columns photo and claim, or `names` for AI-Hub file names. "
            "Their verdicts are written beside --out.",
            metavar="FILE|names",
        ),
    ] = None,
    claim_rule: Annotated[
        str,
        typer.Option(
            help="How the photos of a claim give one verdict: any, majority or mean_top_two.", metavar="RULE"
        ),
    ] = "any",
    annotate: Annotated[
        Path | None,
        typer.Option(help="Put copies of the photos with boxes drawn in into this folder.", metavar="DIR"),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Vehicle if the score is at least this. Default: the bundle's or system's, else 0.10.",
            show_default=False,
        ),
    ] = None,
    imgsz: Annotated[
        int | None,
        typer.Option(
            help="Pixels of the longest side. Default: the system's, else 640. Not for a bundle.",
            show_default=False,
        ),
    ] = None,
    to_a_person: Annotated[
        bool | None,
        typer.Option(
            "--to-a-person/--one-threshold",
            help="Give the third answer, or decide by one threshold. Default: as the bundle was exported; a system "
            "decides by one threshold.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="What runs a system's network: torch (the default), compiled, openvino or onnxruntime.",
            metavar="ENGINE",
            show_default=False,
        ),
    ] = None,
    trust: Trust = None,
    on: On = None,
    address: Annotated[
        str | None,
        typer.Option(help="With --on ray: HOST:PORT of the cluster, or auto.", metavar="HOST:PORT"),
    ] = None,
) -> None:
    """Look for vehicles in photos: one JSON line each, with verdict, score and boxes.

    A bundle decides as it was exported; a system of a run with the threshold that its study froze: `vehicle` or `no
    vehicle`, or with --to-a-person by the study's two thresholds, `to a person` where it should not decide alone.

    A photo that cannot be read has a line of its own with the reason, and does not stop the rest; the exit code is
    then 1.

    Example: `find claims -name '*.jpg' -print0 | wreckognize predict ver6-bundle - -0 --out verdicts.csv`
    """
    from wreckognize.cli.predicting import predict_photos
    from wreckognize.predicting.model import Wishes

    done = predict_photos(
        model,
        photos,
        Wishes(threshold=threshold, imgsz=imgsz, engine=engine, to_a_person=to_a_person, trust=tuple(trust or ())),
        out=out,
        null=null,
        claims=claims,
        claim_rule=claim_rule,
        annotated=annotate,
        on=on or "here",
        address=address,
    )
    if not done:
        raise typer.Exit(1)
