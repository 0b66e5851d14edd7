"""The table of losses and metrics that a training leaves."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def read_curves(results: Path) -> pl.DataFrame:
    """Read the library's ``results.csv``: one row an epoch.

    A training that was killed and resumed may have written an epoch twice; the later row counts.
    """
    table = pl.read_csv(results, infer_schema_length=None)
    table = table.rename({name: name.strip() for name in table.columns})
    return table.unique("epoch", keep="last", maintain_order=True).sort("epoch")
