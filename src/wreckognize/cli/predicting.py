"""``wreckognize predict``: photos to verdicts."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

import typer

from wreckognize.cli.console import Console
from wreckognize.errors import StorageError, UsageError
from wreckognize.evidence.claims import ClaimRule
from wreckognize.files import sha256_of
from wreckognize.predicting.annotate import require_own_folder
from wreckognize.predicting.claims import BY_NAME, claims_by_name, claims_from
from wreckognize.predicting.lines import require_format
from wreckognize.predicting.looking import CHUNK, Place
from wreckognize.predicting.model import Wishes, model_of
from wreckognize.predicting.photos import expand
from wreckognize.predicting.run import Claims, Job, claims_file, to_file, to_screen
from wreckognize.urls import url_of


def predict_photos(
    named: Path,
    patterns: Sequence[str],
    wishes: Wishes,
    *,
    out: Path | None = None,
    null: bool = False,
    claims: str | None = None,
    claim_rule: str = "any",
    annotated: Path | None = None,
    on: Literal["here", "ray"] = "here",
    address: str | None = None,
) -> bool:
    """Look at photos and write one line each, in the order they were named.

    Args:
        named: a bundle, a system of a run, or a weights file.
        patterns: photos, folders, globs and URLs; ``-`` for names on standard input.
        wishes: what is asked of the model.
        out: a ``.jsonl``, ``.csv`` or ``.parquet`` file or URL; None: standard output.
        null: names on standard input end in a NUL byte.
        claims: ``names``, or a CSV file of photos and claims; None: no claims are decided.
        claim_rule: how the photos of one claim give one verdict.
        annotated: a folder for copies with boxes drawn in.
        on: who looks: this process, or a Ray cluster.
        address: of the cluster; None starts a Ray on this machine.

    Returns:
        Whether every photo could be read.

    Raises:
        UsageError: nothing to look at, a wish that cannot be met, or a file that cannot be written.
        StorageError: a URL cannot be read or written.
        ClusterError: the cluster cannot be used.
    """
    if out is not None:
        require_format(out)
    if address is not None and on == "here":
        raise UsageError("a cluster that is not to be used", where="--address", remedy="add --on ray")
    wanted = _claims(claims, claim_rule, out)
    model = model_of(named, wishes)
    names = list(expand(patterns, sys.stdin.buffer, null=null))
    if not names:
        raise UsageError(
            "no photo was found", where=" ".join(patterns), remedy="name photos, folders of photos, or globs"
        )
    if annotated is not None:
        if any(map(url_of, names)):
            raise UsageError(
                "photos in object storage are not drawn on", where="--annotate", remedy="copy them here first"
            )
        require_own_folder(annotated, patterns, names)
    if model.note:
        typer.echo(model.note, err=True)
    place = Place(on, address, lambda text: typer.echo(text, err=True))
    job = Job(names=names, model=model, claims=wanted, annotated=annotated, place=place)
    try:
        failed = to_screen(job, _print, Console()) if out is None else _write(job, out)
    except KeyboardInterrupt:
        goes_on = out is not None and url_of(out) is None
        remedy = f"; the same command goes on where it stood, in steps of {CHUNK} photos" if goes_on else ""
        typer.echo(f"\nstopped{remedy}", err=True)
        raise typer.Exit(130) from None
    if failed:
        typer.echo(f"{failed} of {len(names)} photos could not be read; their lines say why", err=True)
    return not failed


def _print(text: str) -> None:
    try:
        typer.echo(text)
    except BrokenPipeError:  # `| head`
        raise
    except OSError as error:
        raise UsageError(
            f"standard output takes no more ({error.strerror})", remedy="make room, or write to a file with --out"
        ) from error


def _write(job: Job, out: Path) -> int:
    url = url_of(out)
    if url is None:
        return to_file(job, out, Console())
    from wreckognize.scale.storage import Storage

    storage = Storage()
    storage.require(url)
    folder = Path(tempfile.mkdtemp(prefix="wreckognize-"))
    kept = False
    try:
        file = folder / out.name
        failed = to_file(job, file, Console())
        try:
            for made in (file, claims_file(file)) if job.claims else (file,):
                storage.write(f"{url.rpartition('/')[0]}/{made.name}", made.read_bytes())
        except StorageError as error:
            kept = True
            raise StorageError(
                error.what, where=error.where, remedy=f"the answers are kept in {folder}; then {error.remedy}"
            ) from error
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    return failed


def _claims(claims: str | None, rule: str, out: Path | None) -> Claims | None:
    if claims is None:
        return None
    if out is None:
        raise UsageError(
            "claims are decided once all their photos were looked at",
            where="--claims",
            remedy="give a file with --out; the claims are written beside it",
        )
    if rule not in get_args(ClaimRule):
        raise UsageError(
            f"no rule is called {rule!r}", where="--claim-rule", remedy=f"choose {', '.join(get_args(ClaimRule))}"
        )
    file = Path(claims)
    if claims != BY_NAME and file.resolve() in {out.resolve(), claims_file(out).resolve()}:
        raise UsageError(
            f"the verdicts would be written over {file}",
            where="--claims, --out",
            remedy="give --out another name",
        )
    of = claims_by_name if claims == BY_NAME else claims_from(file)
    return Claims(
        of=of,
        key=BY_NAME if claims == BY_NAME else sha256_of(file),
        rule=cast("ClaimRule", rule),
    )
