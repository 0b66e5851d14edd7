"""What a checkpoint would do is told without doing it, and whatever no checkpoint does is refused."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import checkpoints
import pytest

from wreckognize.weightfiles import archives, pickles, refusal_of
from wreckognize.weightfiles.allowed import ALLOWED

NOWHERE = Path("canary-that-must-not-be")
PICKLES = [*checkpoints.planted_pickles(NOWHERE), *checkpoints.oversized_pickles()]


@pytest.fixture(autouse=True)
def _no_canary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not NOWHERE.exists()


@pytest.mark.parametrize(("pickled", "word"), [row[1:] for row in PICKLES], ids=[row[0] for row in PICKLES])
def test_a_planted_pickle_is_refused_and_what_it_calls_for_is_shown(tmp_path, pickled, word):
    refusal = refusal_of(checkpoints.archive(tmp_path / "a.pt", pickled))
    assert refusal is not None
    assert word in str(refusal)
    with pytest.raises(archives.CheckpointRefused):
        archives.clean_archive(tmp_path / "a.pt")


def test_a_file_laid_out_otherwise_is_refused(tmp_path):
    canary = tmp_path / "canary"
    for label, path, word in checkpoints.planted_files(tmp_path, canary):
        refusal = refusal_of(path)
        assert refusal is not None, label
        assert word in str(refusal), (label, str(refusal))
        with pytest.raises(archives.CheckpointRefused):
            archives.clean_archive(path)
    assert not canary.exists()


def test_a_checkpoint_that_is_data_passes_and_is_written_anew(tmp_path):
    tensor = checkpoints.tensor(6, 2, (2, 2), (2, 1))
    path = checkpoints.archive(
        tmp_path / "good.pt", checkpoints.holding(tensor), parts={"data/0": bytes(24), "version": b"3\n"}
    )
    assert refusal_of(path) is None
    clean = tmp_path / "clean.pt"
    clean.write_bytes(archives.clean_archive(path))
    with zipfile.ZipFile(clean) as file:
        assert sorted(file.namelist()) == [
            "archive/byteorder",
            "archive/data.pkl",
            "archive/data/0",
            "archive/version",
        ]
        assert file.read("archive/data.pkl") == checkpoints.holding(tensor)
    assert refusal_of(clean) is None


def test_every_single_changed_byte_of_a_checkpoint_is_passed_or_refused_never_more(tmp_path):
    """No change makes it raise, and one that passes still calls for allowed names only."""
    layer = checkpoints.name("torch.nn.modules.conv", "Conv2d") + b")\x81}" + checkpoints.text("a")
    pickled = checkpoints.holding(layer + checkpoints.tensor(1, 0, (1,), (1,)) + b"sb")
    passed = 0
    for position in range(len(pickled)):
        for value in (0, 0x2E, 0x52, 0x62, 0x63, 0x71, 0x80, 0xFF, pickled[position] ^ 1):
            changed = pickled[:position] + bytes([value]) + pickled[position + 1 :]
            try:
                pickles.check(changed)
            except pickles.Refused:
                continue
            passed += 1
            assert set(pickles.names_in(changed).names) <= ALLOWED
    assert passed > 0


def test_pickles_that_only_grow_in_memory_do_not(tmp_path):
    """A list that holds the one before it twice, sixty times: 2^60 leaves, sixty lists."""
    steps = b"".join(
        b"]q" + bytes([n]) + b"(h" + bytes([n - 1]) * 1 + b"h" + bytes([n - 1]) + b"e" for n in range(1, 60)
    )
    laughs = checkpoints.HEAD + b"]q\x00" + steps + checkpoints.STOP
    with pytest.raises(pickles.Refused, match="not empty"):
        pickles.check(laughs)
    assert refusal_of(checkpoints.archive(tmp_path / "laughs.pt", laughs)) is not None


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = checkpoints.harmless(tmp_path / "a.pt")
    assert refusal_of(path) is None
    monkeypatch.setattr(archives, "MAX_FILE", 10)
    assert "GiB" in str(refusal_of(path))
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MAX_PARTS", 1)
    assert "an archive of 2 parts" in str(refusal_of(path))
    monkeypatch.undo()
    monkeypatch.setattr(archives, "MAX_BYTES", 10)
    assert "a description of more than" in str(refusal_of(path))
    monkeypatch.undo()
    monkeypatch.setattr(pickles, "MAX_BYTES", 10)
    assert "of description" in str(refusal_of(path))


def test_many_names_are_counted_not_listed(tmp_path):
    bad = b"".join(checkpoints.name("os", f"f{number}") + b"a" for number in range(20))
    refusal = refusal_of(checkpoints.archive(tmp_path / "a.pt", checkpoints.HEAD + b"]" + bad + checkpoints.STOP))
    assert len(refusal.names) == 20
    assert str(refusal).endswith("os.f0, os.f1, os.f2, os.f3, os.f4, os.f5 and 14 more")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    assert str(refusal_of(tmp_path / "pipe.pt")) == "not a file"
    with pytest.raises(FileNotFoundError):
        refusal_of(tmp_path / "gone.pt")


def test_the_planted_programs_would_run_if_they_were_unpickled(tmp_path):
    """Else the canary proves nothing."""
    ran = set()
    for number, label in enumerate(row[0] for row in PICKLES):
        canary = tmp_path / f"canary-{number}"
        pickled = {row[0]: row[1] for row in checkpoints.planted_pickles(canary)}.get(label, b"")
        if b"posix" in pickled or label == "eval":
            with contextlib.suppress(Exception):
                pickle.loads(pickled)
            ran |= {label} if canary.exists() else set()
    assert ran >= {
        "os.system",
        "os.system, protocol 4",
        "eval",
        "INST",
        "a name from the memory",
        "fifty tuples deep",
    }
    assert len(ran) >= 10
