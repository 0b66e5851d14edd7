"""Parts put together: whatever the order in which they are finished, the table's order comes out."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wreckognize import errors
from wreckognize.inference.executor import Here, run_in_parts
from wreckognize.progress import Silent

SCHEMA = pl.Schema({"number": pl.Int64})


@dataclass(frozen=True)
class Doubling:
    files: tuple = ()

    @property
    def schemas(self):
        return {"doubles": SCHEMA, "odd": SCHEMA}

    def moved(self, folder):
        return self

    def start(self):
        def do(rows, tick):
            tick(rows.height)
            return {"doubles": rows.select(pl.col("number") * 2), "odd": rows.filter(pl.col("number") % 2 == 1)}

        return do


@dataclass(frozen=True)
class InAnyOrder:
    """Finishes the parts in another order, and only some of them before it stops."""

    order: tuple
    stops_after: int = 10**9

    def run(self, parts, work, tick):
        do = work.start()
        wanted = [number for number in self.order if number in parts]
        for done, number in enumerate([*wanted, *(number for number in parts if number not in wanted)]):
            if done == self.stops_after:
                raise KeyboardInterrupt
            yield number, do(parts[number], tick)


def go(table, executor, folder, size, key="k"):
    return run_in_parts(
        table,
        Doubling(),
        executor,
        size=size,
        folder=folder,
        key=key,
        progress=Silent(),
        description="doubling",
    )


@settings(max_examples=12)  # each part is synced to the disk
@given(st.integers(0, 40), st.integers(1, 9), st.permutations(range(8)), st.integers(0, 6))
def test_the_tables_are_those_of_the_rows_whoever_does_the_parts(rows, size, order, stops_after):
    table = pl.DataFrame({"number": range(rows)}, schema=SCHEMA)
    with tempfile.TemporaryDirectory() as folder:
        here = go(table, Here(), Path(folder, "here"), size)
        try:
            there = go(table, InAnyOrder(tuple(order), stops_after), Path(folder, "there"), size)
        except KeyboardInterrupt:
            there = go(table, InAnyOrder(tuple(reversed(order))), Path(folder, "there"), size)
        assert here["doubles"]["number"].to_list() == [2 * number for number in range(rows)]
        assert here["odd"]["number"].to_list() == list(range(1, rows, 2))
        assert all(here[kind].equals(there[kind]) for kind in here)


def test_only_open_parts_are_done_and_another_key_does_all(tmp_path):
    table = pl.DataFrame({"number": range(10)})
    seen = []

    class Watched(Here):
        def run(self, parts, work, tick):
            seen.append(list(parts))
            return super().run(parts, work, tick)

    with pytest.raises(KeyboardInterrupt):
        go(table, InAnyOrder((3, 1), 2), tmp_path / "parts", 2)
    go(table, Watched(), tmp_path / "parts", 2)
    go(table, Watched(), tmp_path / "parts", 2)
    go(table, Watched(), tmp_path / "parts", 2, key="other settings")
    assert seen == [[0, 2, 4], [], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("kind", ["odd", "doubles"])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: bytes(len(data)), lambda data: b""])
def test_a_part_that_is_not_as_it_was_written_is_done_again(tmp_path, kind, damage):
    table = pl.DataFrame({"number": range(10)})
    whole = go(table, Here(), tmp_path / "parts", 2)
    seen = []

    class Watched(Here):
        def run(self, parts, work, tick):
            seen.append(list(parts))
            return super().run(parts, work, tick)

    file = tmp_path / "parts" / f"{kind}-00003.table"
    file.write_bytes(damage(file.read_bytes()))
    again = go(table, Watched(), tmp_path / "parts", 2)
    assert seen == [[3]]
    assert all(again[name].equals(whole[name]) for name in whole)


@pytest.mark.parametrize(
    "error",
    [
        errors.WeightsError("no such file", where="a.pt", remedy="put it there"),
        errors.MissingExtraError("ray", "a cluster"),
        errors.InputError("empty file", remedy="fetch it again", where="a.jpg"),
        errors.StudyError([errors.Problem("s.yaml", "seed", "x", "a number")]),
        errors.LeakError(["a.jpg"], "leaks", remedy="unpin it"),
        errors.TooManyFailuresError("6 %", remedy="mend", rows=[("s", "f", "r", "w")]),
    ],
)
def test_errors_survive_the_way_between_processes(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
