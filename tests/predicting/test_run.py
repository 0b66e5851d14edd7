from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import polars as pl
import pytest
from bundles import draw_photos, finished_run, make_bundle
from PIL import Image

from wreckognize.errors import UsageError
from wreckognize.predicting import looking, run
from wreckognize.predicting.annotate import copy_name, require_own_folder
from wreckognize.predicting.claims import claims_by_name
from wreckognize.predicting.lines import LINE_SCHEMA
from wreckognize.predicting.model import Wishes, model_of
from wreckognize.predicting.photos import expand
from wreckognize.predicting.run import Claims, Job, to_file, to_screen
from wreckognize.progress import Silent


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_bundle(tmp_path_factory.mktemp("bundle") / "onnx", to_a_person=(0.05, 0.6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "in"
    for number, file in enumerate(draw_photos(folder, 10)):
        file.rename(folder / f"{number:07}_sc-{number // 3}.jpg")
    (folder / "0000003_sc-1.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def job(bundle, folder):
    return Job(names=list(expand([str(folder)])), model=model_of(bundle.folder, Wishes()))


def test_each_photo_has_its_line_and_a_bad_one_its_reason(job, bundle):
    texts: list[str] = []
    assert to_screen(job, texts.append, Silent()) == 1
    lines = [json.loads(text) for text in texts]
    assert [line["photo"] for line in lines] == job.names
    for number, line in enumerate(lines):
        assert list(line) == LINE_SCHEMA.names()
        assert line["model"] == bundle.manifest.version
        if number == 3:
            assert (line["verdict"], line["score"], line["boxes"]) == (None, None, [])
            assert "not a photo" in line["error"]
        else:
            assert line["verdict"] == bundle.verdict(line["score"])
            assert (line["threshold"], line["low"], line["high"]) == (None, 0.05, 0.6)
            assert line["score"] == (line["boxes"][0]["confidence"] if line["score"] >= 0.05 else line["score"])
    assert {line["verdict"] for line in lines} >= {"vehicle", "no vehicle"}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_killed_command_goes_on_to_the_same_bytes(job, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(looking, "CHUNK", 4)
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    assert to_file(job, whole, Silent()) == 1
    looked: list[str] = []
    again: list[str] = []
    plain = run.looks_at

    def stopping(names, *rest):
        for look in plain(names, *rest):
            if len(looked) == 6:
                raise KeyboardInterrupt
            looked.append(look.photo)
            yield look

    monkeypatch.setattr(run, "looks_at", stopping)
    with pytest.raises(KeyboardInterrupt):
        to_file(job, out, Silent())
    assert not out.exists()

    def counting(names, *rest):
        again.extend(names)
        return plain(names, *rest)

    monkeypatch.setattr(run, "looks_at", counting)
    assert to_file(job, out, Silent()) == 1
    assert looked[:4] + again == job.names, "the chunk that was cut off is looked at again as a whole"
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([whole.name, out.name])


def test_the_three_formats_hold_the_same(job, tmp_path):
    for suffix in (".jsonl", ".csv", ".parquet"):
        to_file(job, tmp_path / f"out{suffix}", Silent())
    lines = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table.schema == LINE_SCHEMA
    assert table.to_dicts() == lines
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] or None for row in rows] == [line["verdict"] for line in lines]
    assert [int(row["boxes"]) for row in rows] == [len(line["boxes"]) for line in lines]


def test_claims_are_decided_beside_the_photos(job, tmp_path):
    wanted = Job(names=job.names, model=job.model, claims=Claims(of=claims_by_name, key="names", rule="any"))
    to_file(wanted, tmp_path / "out.csv", Silent())
    to_file(wanted, tmp_path / "out.jsonl", Silent())
    lines = [json.loads(text) for text in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["claim"] for line in lines] == [f"sc-{number // 3}" for number in range(10)]
    with (tmp_path / "out.claims.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["claim"]: row for row in csv.DictReader(file)}
    assert [(row["photos"], row["unread"]) for row in rows.values()] == [
        ("3", "0"),
        ("2", "1"),
        ("3", "0"),
        ("1", "0"),
    ]
    for claim, row in rows.items():
        scores = [line["score"] for line in lines if line["claim"] == claim and line["score"] is not None]
        assert row["verdict"] == job.model.rule.verdict(max(scores))


def test_annotated_copies_carry_no_exif_and_never_collide(job, folder, tmp_path, bundle):
    other = tmp_path / "other" / "0000000_sc-0.jpg"
    other.parent.mkdir()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    with Image.open(folder / other.name) as photo:
        photo.save(other, exif=exif, quality=95)
    before = other.read_bytes()
    names = [*job.names[:4], str(other)]
    wanted = Job(names=names, model=job.model, annotated=tmp_path / "drawn")
    to_file(wanted, tmp_path / "out.jsonl", Silent())
    copies = sorted(file.name for file in (tmp_path / "drawn").iterdir())
    assert copies == sorted(copy_name(name) for index, name in enumerate(names) if index != 3)
    assert len({copy_name(name) for name in names}) == len(names)
    copy = tmp_path / "drawn" / copy_name(str(other))
    with Image.open(copy) as drawn:
        assert not drawn.getexif()
    assert other.read_bytes() == before
    difference = cv2.imread(str(copy)).astype(int) - cv2.imread(str(other))
    assert np.abs(difference).max() > 60


def test_annotated_copies_never_go_among_the_photos(folder, tmp_path):
    names = list(expand([str(folder)]))
    for place in (folder, folder / "drawn"):
        with pytest.raises(UsageError, match="among the photos"):
            require_own_folder(place, [str(folder)], names)
    with pytest.raises(UsageError, match="among the photos"):
        require_own_folder(folder, names[:1], names[:1])
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UsageError, match="among the photos"):
        require_own_folder(tmp_path / "link", names[:1], names[:1])
    require_own_folder(tmp_path / "drawn", [str(folder)], names)


def test_a_bundle_is_used_as_it_was_checked(bundle, tmp_path):
    for wishes in (Wishes(imgsz=320), Wishes(engine="torch")):
        with pytest.raises(UsageError, match="as it was checked"):
            model_of(bundle.folder, wishes)
    assert model_of(bundle.folder, Wishes(to_a_person=False)).rule.thresholds == (0.1,)
    assert model_of(bundle.folder, Wishes(threshold=0.005)).settings.confidence == 0.005
    plain = tmp_path / "plain"
    shutil.copytree(make_bundle(tmp_path / "made", photos=1).folder, plain)
    with pytest.raises(UsageError, match="decides by one threshold"):
        model_of(plain, Wishes(to_a_person=True))


def test_a_system_and_its_bundle_say_the_same(tmp_path, folder):
    from wreckognize.exporting.export import ExportSettings, export
    from wreckognize.stages.exporting import source_of

    system = finished_run(tmp_path / "run", photos=4)
    bundle, _ = export(source_of(system), tmp_path / "bundle", ExportSettings(target="safetensors"))
    said = []
    for named in (system, bundle.folder):
        job = Job(names=list(expand([str(folder)])), model=model_of(named, Wishes()))
        texts: list[str] = []
        to_screen(job, texts.append, Silent())
        said.append([{**json.loads(text), "model": ""} for text in texts])
    assert said[0] == said[1]
