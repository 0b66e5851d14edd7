"""How well the label audit finds labels spoiled on purpose, on real photos, beside cleanlab's ranking:

python tests/photos/audit.py --out runs/audit-photos --seeds 2 3 4      (needs: pip install cleanlab)

A tenth of the labels is spoiled by each seed (see tests/audit/spoil.py), students are trained on the spoiled labels
fold by fold, and the photos are ranked. Predictions are kept in the folder: a second call only ranks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "audit"))

from real import load
from spoil import spoil

from wreckognize.audit.agreement import CORNERS
from wreckognize.audit.doubts import find_doubts
from wreckognize.audit.folds import assign_folds, students_photos
from wreckognize.cli.console import Console
from wreckognize.files import write_table
from wreckognize.stages.students import Student, out_of_fold
from wreckognize.study import Study

SHARE = 0.1
PHOTOS = {"damaged": 450, "normal": 225, "coco-background": 225, "whole-vehicle": 1, "coco-cars": 1}
SETTINGS = [
    *(f"sources.{name}.limit={count}" for name, count in PHOTOS.items()),
    "split.train=0.8", "split.val=0.1", "split.test=0.1", "teacher.imgsz=320",
    # A short training: every batch is a step (the library else gathers 64 photos), and no epoch is spent on warming up.
    "systems.ver6.train.nbs=16", "systems.ver6.train.warmup_epochs=0", "systems.ver6.train.lr0=0.001",
]  # fmt: skip


def labelled(study: Study, folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Photos with split, group and outcome; ver6's labels of them."""
    study.run(out=folder, until="label", only=["ver6"], progress=Console())
    outcomes = pl.read_parquet(folder / "systems" / "ver6" / "photos.parquet").select("photo", "split", "outcome")
    groups = pl.read_parquet(folder / "split.parquet").select("photo", "group")
    photos = pl.read_parquet(folder / "catalog" / "photos.parquet").join(outcomes, on="photo")
    photos = photos.join(groups, on="photo").filter(pl.col("outcome") != "left_out").sort("photo")
    return photos, pl.read_parquet(folder / "systems" / "ver6" / "labels.parquet")


def look(study: Study, photos: pl.DataFrame, labels: pl.DataFrame, folder: Path, folds: int, epochs: int) -> None:
    """Train the students on ``labels`` and write what they see."""
    system = study.system("ver6")
    train = system.train.model_copy(update={"epochs": epochs})
    dealt = assign_folds(photos, folds, seed=study.seed)
    tables = []
    for number in range(1, folds + 1):
        learnt = photos.drop("split").join(students_photos(photos, dealt, number, seed=study.seed), on="photo")
        held_out = photos.join(dealt.filter(fold=number), on="photo", how="semi")
        weights = str(Path(study.file.parent if study.file else ".", system.weights).resolve())
        student = Student(
            system=system, weights=weights, train=train, seed=study.seed, name=f"fold {number}", key="photos"
        )
        tables.append(out_of_fold(student, learnt, labels, held_out, folder / f"fold{number}", progress=Console()))
    write_table(folder / "predictions.parquet", pl.concat(tables))


def cleanlab_scores(photos: pl.DataFrame, labels: pl.DataFrame, predictions: pl.DataFrame) -> NDArray[np.float64]:
    """Doubt in each photo by cleanlab's object-detection ranking as it comes (ObjectLab), from the same predictions."""
    from cleanlab.object_detection.rank import get_label_quality_scores

    drawn, seen = (
        {name: rows for (name,), rows in table.partition_by("photo", as_dict=True).items()}
        for table in (labels, predictions)
    )
    given = []
    predicted = np.empty(photos.height, dtype=object)
    for number, photo in enumerate(photos["photo"]):
        boxes = drawn[photo].select(CORNERS).to_numpy() if photo in drawn else np.zeros((0, 4))
        given.append({"bboxes": boxes, "labels": np.zeros(len(boxes), dtype=int), "image_name": photo})
        of_class = np.empty(1, dtype=object)
        of_class[0] = np.zeros((0, 5))
        if photo in seen:
            of_class[0] = seen[photo].select(*CORNERS, "confidence").to_numpy().astype(np.float64)
        predicted[number] = of_class
    return 1 - get_label_quality_scores(given, list(predicted), verbose=False)


def found_line(name: str, photos: pl.DataFrame, score: NDArray[np.float64], spoilt: pl.DataFrame) -> str:
    """How many of the spoilt photos are in the first tenth and fifth of the order by score; equal scores by name."""
    order = photos["photo"].to_numpy()[np.argsort(-score, kind="stable")]
    bad = set(spoilt["photo"])
    tenth, fifth = (set(order[: round(share * photos.height)]) for share in (0.1, 0.2))
    kinds = spoilt.group_by("kind", maintain_order=True).agg("photo").sort("kind")
    by_kind = ", ".join(f"{kind} {len(fifth & set(names))}/{len(names)}" for kind, names in kinds.iter_rows())
    return (
        f"  {name:10} first fifth {len(fifth & bad)}/{len(bad)} = {len(fifth & bad) / len(bad):.1%} ({by_kind}); "
        f"first tenth: {len(tenth & bad) / len(tenth):.1%} are spoilt"
    )


def main() -> None:
    """Spoil, train, look, rank and say how many were found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/audit-photos"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    study = load(arguments.out / "study", SETTINGS)
    photos, labels = labelled(study, arguments.out / "run")
    for seed in arguments.seeds:
        folder = arguments.out / f"seed{seed}"
        bad, spoilt = spoil(photos, labels, SHARE, seed=seed)
        write_table(folder / "labels.parquet", bad)
        write_table(folder / "spoilt.parquet", spoilt)
        if not (folder / "predictions.parquet").exists():
            look(study, photos, bad, folder, arguments.folds, arguments.epochs)
        seen = pl.read_parquet(folder / "predictions.parquet")
        # Without the teacher as a witness: it drew the labels, so it would know what was spoilt.
        doubts = find_doubts(photos.with_columns(labelled=pl.lit(True)), bad, seen)
        ours = photos.select("photo").join(doubts.photos, on="photo", maintain_order="left")["score"].to_numpy()
        typer.echo(f"seed {seed}: {photos.height} photos, {spoilt.height} spoilt")
        typer.echo(found_line("audit", photos, ours, spoilt))
        typer.echo(found_line("cleanlab", photos, cleanlab_scores(photos, bad, seen), spoilt))


if __name__ == "__main__":
    main()
