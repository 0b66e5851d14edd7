"""Very many label files at once: only what changed is read, in helper processes where that pays.

What labels say is handed on as columns: half a million Python objects would fill the memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from wreckognize.collect.aihub_label import READ, UNCHANGED, UNREADABLE, LabelAnswer, LabelRequest
from wreckognize.collect.helpers import MOST, Helpers, processors
from wreckognize.collect.remembered import REMEMBERED_SCHEMA, Remembered

_CHUNK = 1024  # files a request
_PAYS = 4000  # files for each helper process


def read_many(
    paths: Sequence[bytes], remembered: Remembered, processes: int | None = None
) -> Generator[pl.DataFrame]:
    """What each label file says.

    Helper processes begin when the first table is asked for, and go on while what is read waits to be asked for.

    Args:
        paths: of the files.
        remembered: what is known of them, and where to keep what they say.
        processes: how many; by default one a processor, fewer where there are few files.

    Returns:
        An empty table, then ``REMEMBERED_SCHEMA`` in the order of ``paths``, ``content`` a `Reading`. Size -1: it could
        not be read.
    """
    known = remembered.lookup(paths)
    sizes = known.get_column("size").fill_null(-1).to_numpy()
    times = known.get_column("mtime_ns").fill_null(-1).to_numpy()
    number = min(MOST, processors(), len(paths) // _PAYS) if processes is None else processes
    starts = range(0, len(paths), _CHUNK)
    with Helpers(number) as helpers, closing(helpers.ask(_requests(paths, sizes, times, starts))) as answers:
        begun = list(islice(answers, 1))
        yield REMEMBERED_SCHEMA.to_frame()
        for start, answer in zip(starts, chain(begun, answers), strict=True):
            assert isinstance(answer, LabelAnswer)
            table = _table(paths[start : start + _CHUNK], answer)
            states = np.frombuffer(answer.states, np.uint8)
            if (states == UNCHANGED).any():
                before = known.slice(start, _CHUNK)
                same = pl.Series(states == UNCHANGED)
                table = table.with_columns(
                    pl.when(same).then(before.get_column(name)).otherwise(pl.col(name)).alias(name)
                    for name in ("mark", "content")
                )
            unread = states == UNREADABLE
            remembered.keep(
                table.filter(pl.Series(~unread)) if unread.any() else table, learned=bool((states == READ).any())
            )
            yield table


def _requests(
    paths: Sequence[bytes], sizes: NDArray[np.int64], times: NDArray[np.int64], starts: range
) -> Iterator[LabelRequest]:
    for start in starts:
        part = slice(start, start + _CHUNK)
        yield LabelRequest(list(paths[part]), sizes[part].tolist(), times[part].tolist())


def _table(paths: Sequence[bytes], answer: LabelAnswer) -> pl.DataFrame:
    columns = {
        "path": paths,
        "size": answer.sizes,
        "mtime_ns": answer.times,
        "mark": np.frombuffer(answer.marks, np.uint8),
        "content": answer.readings,
    }
    return pl.DataFrame(columns, schema=REMEMBERED_SCHEMA)
