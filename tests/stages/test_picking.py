"""The engine of a system: named, or picked by measuring; and kept."""

import json
from dataclasses import replace

import polars as pl
import pytest
from studies import write_study

from wreckognize import Study
from wreckognize.detectors.engines import Choice
from wreckognize.evaluation.parity import Parity
from wreckognize.stages import picking
from wreckognize.stages.picking import Candidate, pick


def candidate(engine, ms, passed, precision="float32", margin=0.02):
    thresholds = () if precision == "float32" else (0.1,)
    choice = Choice(engine, precision, thresholds, margin)
    return Candidate(choice, ms, Parity(50, {0.1: 0}, 0.0, 0.0, 1.0, passed, "because"))


def test_the_fastest_that_passed_is_picked():
    reference = candidate("torch", 100, True)
    fast, wrong = candidate("openvino", 50, True), candidate("onnxruntime", 10, False)
    best, why = pick([reference, fast, wrong])
    assert best is fast
    assert "fastest of 2 of 3 that passed parity on 50 photos, 2.00x torch" in why
    assert pick([reference, wrong])[0] is reference
    assert pick([reference, replace(fast, ms=120)])[0] is reference


def test_scores_that_shift_too_far_are_not_mended_by_a_second_look():
    reference = candidate("torch", 100, True)
    assert pick([reference, candidate("openvino", 20, True, "int8", margin=0.3)])[0] is reference
    assert pick([reference, candidate("openvino", 20, True, "int8", margin=0.05)])[0] is not reference


def test_where_nothing_can_be_said_torch_stays():
    best, why = pick([candidate("torch", 100, None), candidate("openvino", 10, None)])
    assert best.choice.engine == "torch"
    assert why == "picked without a comparison: because"


@pytest.fixture(scope="module")
def run_twice(tmp_path_factory, tiny_weights):
    """A study of systems that are never trained, run twice; measuring a second time would be an error."""
    folder = tmp_path_factory.mktemp("study")
    base = {"recipe": "baseline", "weights": tiny_weights.name}
    systems = {
        "picked": {**base, "predict": {"imgsz": 64, "engine": "auto", "device": "cpu"}},
        "named": {**base, "predict": {"imgsz": 64, "engine": "openvino"}},
        "usual": {**base, "predict": {"imgsz": 64, "device": "cpu"}},
    }
    split = {"train": 0.0, "val": 0.6, "test": 0.4}
    file = write_study(folder, tiny_weights, systems=systems, split=split, evidence={"shortcuts": False})
    out = folder / "run"
    Study.load(file).run(out=out, until="evaluate")
    first = (out / "state.json").read_text()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(picking, "measure", None)
        Study.load(file).run(out=out, until="evaluate")
    return out, first


@pytest.mark.slow
def test_auto_writes_down_what_it_measured_and_does_not_choose_anew(run_twice):
    out, first = run_twice
    assert (out / "state.json").read_text() == first
    record = json.loads((out / "systems" / "picked" / "predictions" / "engine.json").read_text())
    tried = {(one["engine"], one["precision"]): one for one in record["candidates"]}
    assert {("torch", "float32"), ("openvino", "float32"), ("onnxruntime", "float32")} <= tried.keys()
    assert all(one["ms_per_photo"] > 0 and one["versions"] for one in tried.values())
    assert tried["openvino", "float32"]["parity"]["passed"] is True
    assert "fastest of" in record["why"]
    metrics = json.loads((out / "systems" / "picked" / "metrics.json").read_text())
    assert record["picked"]["engine"] in metrics["engine"]
    assert record["why"] in metrics["engine"]


@pytest.mark.slow
def test_a_named_engine_gives_the_figures_of_torch_and_keeps_its_graph_in_the_run(run_twice):
    out, _ = run_twice
    named, usual = (
        pl.read_parquet(out / "systems" / name / "predictions" / "test.parquet") for name in ("named", "usual")
    )
    best = [table.group_by("photo").agg(pl.col("confidence").max()).sort("photo") for table in (named, usual)]
    assert best[0]["photo"].equals(best[1]["photo"])
    assert (best[0]["confidence"] - best[1]["confidence"]).abs().max() < 1e-4
    assert list((out / "engines").glob("*.onnx"))
    metrics = json.loads((out / "systems" / "named" / "metrics.json").read_text())
    assert metrics["engine"].startswith("openvino")


def test_the_fingerprint_holds_engine_precision_and_version(tiny_weights):
    from wreckognize.stages.looking import Looker

    plain = Looker(str(tiny_weights), 64, ("car",), "max")
    identities = [
        json.dumps(replace(plain, choice=choice).identity, default=str)
        for choice in (Choice(), Choice("openvino"), Choice("openvino", "bfloat16", (0.1,)), Choice("onnxruntime"))
    ]
    assert len(set(identities)) == 4
    assert "openvino" not in identities[0]
    assert '"openvino": "20' in identities[1]
