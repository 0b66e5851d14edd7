"""Parts done by this process whose photos lie in object storage: each part's are fetched, looked at and let go."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from wreckognize.inference.executor import Tables, Tick, Work
from wreckognize.scale.storage import Storage
from wreckognize.scale.worker import fetch, with_reasons


class FetchingHere:
    """Does the parts in this process, one after the other.

    Args:
        places: beginnings of paths that stand for URLs.
        storage: reads them.
    """

    def __init__(self, places: Mapping[str, str], storage: Storage) -> None:
        self._places, self._storage = places, storage

    def run(self, parts: Mapping[int, pl.DataFrame], work: Work, tick: Tick) -> Iterator[tuple[int, Tables]]:
        """Yield every part's number and tables, in order.

        Raises:
            StorageError: no such bucket, no permission, or the storage kept failing.
        """
        do = work.start() if parts else None
        for number, rows in parts.items():
            assert do is not None  # for the type checker: there are parts
            with tempfile.TemporaryDirectory(prefix="wreckognize-") as folder:
                there, lost = fetch(rows, Path(folder), self._places, self._storage)
                yield number, with_reasons(do(there, tick), lost, rows)
