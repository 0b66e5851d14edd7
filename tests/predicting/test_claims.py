from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wreckognize.cli.predicting import _claims as wanted_claims
from wreckognize.errors import UsageError
from wreckognize.evidence.claims import CLAIM_RULES
from wreckognize.exporting.verdicts import Band, Rule
from wreckognize.predicting.claims import CLAIM_SCHEMA, claims_by_name, claims_from, decide_claims

scores = st.sampled_from([None, 0.0, 0.05, 0.1, 0.3, 0.5, 0.9])
rows = st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), scores), max_size=15)


def lines(values):
    return [
        {"photo": f"{number:03}.jpg", "claim": claim, "score": score}
        for number, (claim, score) in enumerate(values)
    ]


@given(rows, st.sampled_from(CLAIM_RULES))
def test_every_claim_has_one_verdict_and_every_photo_is_counted_once(values, how):
    found = decide_claims(lines(values), Rule(0.1), how)
    assert found.schema == CLAIM_SCHEMA
    named = {claim for claim, _ in values if claim}
    assert set(found["claim"].drop_nulls()) == named
    assert found["claim"].drop_nulls().is_unique().all()
    assert found["claim"].null_count() == sum(claim is None for claim, _ in values)
    assert found["photos"].sum() == sum(score is not None for _, score in values)
    assert found["unread"].sum() == sum(score is None for _, score in values)
    assert (found["verdict"].is_null() == (found["photos"] == 0)).all()
    assert found["photo"].is_sorted()


@given(rows, st.sampled_from(CLAIM_RULES))
def test_a_band_is_between_its_two_thresholds(values, how):
    both = decide_claims(lines(values), Rule(0.3, Band(0.1, 0.5)), how)["verdict"].to_list()
    low = decide_claims(lines(values), Rule(0.1), how)["verdict"].to_list()
    high = decide_claims(lines(values), Rule(0.5), how)["verdict"].to_list()
    for verdict, lower, upper in zip(both, low, high, strict=True):
        expected = {"vehicle": "vehicle"}.get(upper, "no vehicle" if lower == "no vehicle" else "to a person")
        assert verdict == (None if lower is None else expected)


def test_the_rules_differ_as_they_should():
    values = [("a", 0.9), ("a", 0.02), ("a", 0.03)]
    verdicts = {how: decide_claims(lines(values), Rule(0.1), how)["verdict"][0] for how in CLAIM_RULES}
    assert verdicts == {"any": "vehicle", "majority": "no vehicle", "mean_top_two": "vehicle"}
    open_ended = decide_claims(lines(values), Rule(0.1, Band(None, 0.95)), "any")
    assert open_ended["verdict"].to_list() == ["to a person"]


def test_claims_come_from_names_or_from_a_file(tmp_path, monkeypatch):
    assert claims_by_name("x/0000459_sc-226797.jpg") == "sc-226797"
    assert claims_by_name("x/car.jpg") is None
    file = tmp_path / "claims.csv"
    file.write_text("﻿photo,claim,more\nin/a.jpg,K1,x\nb.jpg,K2,\n,K3,\nc.jpg,,\n", encoding="utf-8")
    claim_of = claims_from(file)
    monkeypatch.chdir(tmp_path)
    assert claim_of("in/a.jpg") == claim_of(str(tmp_path / "in" / "a.jpg")) == "K1"
    assert claim_of("other/a.jpg") is None
    assert claim_of("anywhere/b.jpg") == "K2"
    assert claim_of("c.jpg") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("photo\na.jpg\n", "no column claim"),
        ("", "no column claim and photo"),
        ("photo,claim\na.jpg,1\na.jpg,2\n", "two claims, 1 and 2"),
    ],
)
def test_a_wrong_file_of_claims_is_refused(tmp_path, text, message):
    file = tmp_path / "claims.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        claims_from(file)
    with pytest.raises(UsageError, match="cannot be read"):
        claims_from(tmp_path / "gone.csv")


@pytest.mark.parametrize(("claims", "out"), [("a.csv", "a.csv"), ("a.claims.csv", "a.csv")])
def test_verdicts_are_not_written_over_the_claims(tmp_path, claims, out):
    (tmp_path / claims).write_text("photo,claim\n1.jpg,c1\n")
    with pytest.raises(UsageError, match="would be written over"):
        wanted_claims(str(tmp_path / claims), "any", tmp_path / out)
    assert wanted_claims(str(tmp_path / claims), "any", tmp_path / "b.csv").of("1.jpg") == "c1"
