"""Commands on a disk that is full again and again: training, audit, search, export, predict, kept corrections.

Run as ``unshare -rm python crowded.py ROOM STUDY CALM CASE...``, see `room`. ROOM becomes a small tmpfs. For each case
it is emptied and given what the case starts from, and a few pages more; each time the command ends for want of room,
the disk grows, and the same command is given again, until it comes to its end. Prints JSON: for each case what each
failure said and what it left that it must not, and what is wrong with the result.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from wreckognize.errors import WreckognizeError
from wreckognize.files import sha256_of

ENOUGH = 4000
"""Pages that any case can do with."""

SPACE = "search={system: ver6, space: {train.lr0: {low: 1.0e-5, high: 1.0e-2}}}"


@dataclass(frozen=True)
class Desk:
    """Where a case works.

    Attributes:
        room: on the small disk.
        study: file of the study, on another disk.
        calm: the folder of its undisturbed run, there too.
    """

    room: Path
    study: Path
    calm: Path

    @property
    def system(self) -> Path:
        return self.calm / "systems" / "ver6"


@dataclass(frozen=True)
class Case:
    """A command that meets a full disk.

    Attributes:
        attempt: gives it once: exit code, and what it said on standard error.
        pages: the disk's growth before each attempt; then it is given `ENOUGH`.
        half: after a failure: what stands under a final name without being whole.
        wrong: at the end: what is not as it is where there was room from the start.
        start: puts into the room what the case starts from.
    """

    attempt: Callable[[], tuple[int, str]]
    pages: Sequence[int]
    half: Callable[[], list[str]]
    wrong: Callable[[], list[str]]
    start: Callable[[], object] = lambda: None


def training(desk: Desk) -> Case:
    """A real one: its state, the weights of its best epoch and what follows from them do not fit in turn."""
    from chaos.room import call
    from chaos.subject import digests, stages

    run = desk.room / "run"
    arguments = ["train", str(desk.study), "--only", "ver6", "--out", str(run)]
    weights = run / "systems" / "ver6" / "weights" / "best.safetensors"
    theirs = digests(desk.calm)

    def half() -> list[str]:
        torn = weights.exists() and sha256_of(weights) != theirs["systems/ver6/weights/best.safetensors"]
        return [str(weights)] * torn + [stage.name for stage in stages(run) if stage.name.startswith("train:")]

    def wrong() -> list[str]:
        return [name for name, digest in digests(run).items() if theirs[name] != digest]

    def start() -> None:
        code, said = call(["label", *arguments[1:]])
        assert code == 0, said

    return Case(lambda: call(arguments), (24, 700, 250), half, wrong, start)


def audit(desk: Desk) -> Case:
    """Students' predictions, doubts and the page, in a finished run."""
    from chaos.room import call
    from chaos.subject import stages

    run = desk.room / "run"
    arguments = ["audit", str(desk.study), "--folds", "2", "--epochs", "1", "--out", str(run)]
    plenty: dict[str, str] = {}

    def results() -> dict[str, str]:
        folder = run / "audit" / "ver6"
        return {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file()}

    def start() -> None:
        """Once with room, to know what is right."""
        shutil.copytree(desk.calm, run, symlinks=True)
        with ready_made(desk):
            code, said = call(arguments)
        assert code == 0, said
        plenty.update(results())
        shutil.rmtree(run)
        shutil.copytree(desk.calm, run, symlinks=True)

    def attempt() -> tuple[int, str]:
        with ready_made(desk):
            return call(arguments)

    def half() -> list[str]:
        torn = (
            [name for name, digest in results().items() if plenty[name] != digest]
            if (run / "audit/ver6").is_dir()
            else []
        )
        return torn + [stage.name for stage in stages(run) if stage.name.startswith("audit:")]

    def wrong() -> list[str]:
        return [name for name, digest in plenty.items() if results().get(name) != digest]

    return Case(attempt, (2,), half, wrong, start)


def search(desk: Desk) -> Case:
    """Its database, the trials and the page."""
    from chaos.room import call

    run = desk.room / "run"
    arguments = ["search", str(desk.study), "--trials", "2", "--out", str(run), "--set", SPACE]

    def attempt() -> tuple[int, str]:
        with ready_made(desk):
            return call(arguments)

    def half() -> list[str]:
        found = []
        for name in ("trials.csv", "summary.json", "best.yaml", "index.html"):
            file = run / "search" / name
            if file.exists() and not file.read_text(encoding="utf-8").strip():
                found.append(name)
        return found

    def wrong() -> list[str]:
        outcomes = pl.read_csv(run / "search" / "trials.csv")["outcome"].to_list()
        missing = [
            name for name in ("summary.json", "best.yaml", "index.html") if not (run / "search" / name).exists()
        ]
        made = json.loads((run / "search" / "summary.json").read_bytes())["made"]
        return [*missing, *(one for one in outcomes if one == "failed")] + (
            [] if made == 2 else [f"{made} trials made"]
        )

    start = lambda: shutil.copytree(desk.calm, run, symlinks=True)  # noqa: E731
    return Case(attempt, (0, 4), half, wrong, start)


def export(desk: Desk) -> Case:
    """A bundle, whole or not there."""
    from chaos.room import call

    from wreckognize.exporting.bundle import read_bundle

    bundle = desk.room / "bundle"
    arguments = ["export", str(desk.system), "--to", "onnx", "--force", "--out", str(bundle)]

    def wrong() -> list[str]:
        read_bundle(bundle)  # every byte against its hash
        return []

    return Case(lambda: call(arguments), (0, 60, 128), lambda: [str(bundle)] * bundle.exists(), wrong)


def predict(desk: Desk) -> Case:
    """Lines, kept while they come and written as a table; annotated copies beside them."""
    from chaos.room import call

    out = desk.room / "found.csv"
    photos = str(desk.study.parent / "normal")
    plenty = desk.room.with_name("plenty.csv")

    def attempt(where: Path = out) -> tuple[int, str]:
        more = ["--annotate", str(desk.room / "annotated")] if where == out else []
        return call(["predict", str(desk.system), photos, "--out", str(where), *more])

    def start() -> None:
        code, said = attempt(plenty)
        assert code == 0, said

    def half() -> list[str]:
        return [str(out)] * out.exists() + [
            str(path)
            for path in (desk.room / "annotated").glob("*.jpg")
            if not path.read_bytes().endswith(b"\xff\xd9")
        ]

    def wrong() -> list[str]:
        unfinished = [str(path) for path in desk.room.glob("*.unfinished")]
        return unfinished + [str(out)] * (out.read_bytes() != plenty.read_bytes())

    return Case(attempt, (0, 1, 2), half, wrong, start)


def feedback(desk: Desk) -> Case:
    """Corrections that the service keeps: photo and words."""
    from wreckognize.review.corrections import Mark, Said, Served, from_json
    from wreckognize.serving.feedback_store import FeedbackStore

    folder = desk.room / "feedback"
    photos = [path.read_bytes() for path in sorted((desk.study.parent / "normal").iterdir())]
    served = Served(model="m", version="0" * 12, sha256="0" * 64, verdict="no vehicle", score=0.02, threshold=0.1)
    kept: list[str] = []

    def attempt() -> tuple[int, str]:
        try:
            store = FeedbackStore.at(folder)
            for photo in photos[len(kept) :]:
                said = Said("vehicle", [Mark(24, 16, 72, 48)], damaged=True, comment="")
                kept.append(store.keep(photo, said, served, key=None).id)
        except WreckognizeError as error:
            return error.exit_code, f"error: {error}"
        return 0, ""

    def half() -> list[str]:
        torn = [path.name for path in (folder / "photos").glob("*") if path.stem != sha256_of(path)]
        for path in (folder / "corrections").glob("*.json"):
            from_json(path.read_bytes())
        return torn

    def wrong() -> list[str]:
        there = {path.stem for path in (folder / "corrections").glob("*.json")}
        return half() + sorted(there ^ set(kept))

    return Case(attempt, (0, 1, 1, 1, 2, 1), half, wrong)


@contextmanager
def ready_made(desk: Desk) -> Iterator[None]:
    """Trainings lay out their photos as always, and then take the weights of the undisturbed run."""
    from chaos.subject import ready_made as stand_in

    from wreckognize.training import fine_tune

    real, fine_tune.fine_tune = fine_tune.fine_tune, stand_in(desk.system)
    try:
        yield
    finally:
        fine_tune.fine_tune = real


CASES: dict[str, Callable[[Desk], Case]] = {
    one.__name__: one for one in (training, audit, search, export, predict, feedback)
}


def standing(room: Path) -> list[str]:
    return [path.relative_to(room).as_posix() for path in room.rglob("*") if path.is_file()]


def go(room: Path, case: Case) -> dict[str, object]:
    """Empty the room, and give the command until it comes to its end."""
    from chaos.room import PAGE, mount, used
    from chaos.subject import leftovers

    mount("-o", f"remount,size={ENOUGH * PAGE}", str(room))
    for path in room.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    case.start()
    failures: list[dict[str, object]] = []
    for more in (*case.pages, ENOUGH):
        mount("-o", f"remount,size={max(used(room) + more, 1) * PAGE}", str(room))
        code, said = case.attempt()
        if code == 0:
            break
        failures.append(
            {"code": code, "said": said, "parts": leftovers(room), "half": case.half(), "stood": standing(room)}
        )
    wrong = case.wrong() if code == 0 else []
    return {"code": code, "said": said, "failures": failures, "wrong": [*wrong, *leftovers(room)]}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from chaos.room import mount

    place, study, calm = (Path(one) for one in sys.argv[1:4])
    mount("-t", "tmpfs", "room", str(place))
    os.chdir(place.parent)  # what stays open in the room would keep it from being emptied
    desk = Desk(place, study, calm)
    print(json.dumps({name: go(place, CASES[name](desk)) for name in sys.argv[4:]}))  # noqa: T201
