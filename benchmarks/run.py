"""Speed against the usual way, both sides in one run: ``make bench`` (``make bench-long`` for the rest).

Prints a row as soon as it is measured, writes ``benchmarks/results/latest.json`` and the table in
``docs/performance.md``. Real weights and photos are used where WRECKOGNIZE_PHOTOS has them, else the drawn ones of the
demo. ``--only training`` measures one section and leaves files alone.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import collecting
import commands
import figures
import material
import memory
import predictions
import table
import training
from table import Row


@dataclass(frozen=True)
class Ground:
    """What the sections are given."""

    folder: Path
    long: bool

    def own(self, name: str) -> Path:
        """A folder of its own for a section."""
        folder = self.folder / name
        folder.mkdir()
        return folder


SECTIONS: dict[str, Callable[[Ground], Iterator[Row]]] = {
    "predictions": lambda ground: predictions.rows(
        material.find(ground.own("predictions")), ground.own("engines"), ground.long
    ),
    "memory": lambda ground: memory.rows(material.find(ground.own("memory")), 20_000),
    "training": lambda ground: training.rows(
        material.find(ground.own("training")), ground.folder / "fine-tuning", ground.long
    ),
    "collecting": lambda ground: iter(collecting.label_rows(ground.own("collecting"), 500_000)),
    "near": lambda ground: iter(collecting.hash_rows(500_000)),
    "figures": lambda ground: figures.rows(),
    "commands": lambda ground: commands.rows(ground.own("commands")),
}


def main() -> None:
    """Measure every row, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="at full size: hours instead of minutes")
    parser.add_argument("--only", action="append", choices=SECTIONS, default=[], help="a section; may be repeated")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        ground = Ground(Path(name), arguments.long)
        for section, measure in SECTIONS.items():
            if arguments.only and section not in arguments.only:
                continue
            for row in measure(ground):
                rows.append(row)
                print(table.line(row), flush=True)
    if not arguments.only:
        table.write(rows)


if __name__ == "__main__":
    main()
