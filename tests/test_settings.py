"""Settings that have short forms in a study file."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from wreckognize.settings import FolderSource, PredictSettings, TrainSettings


@pytest.mark.parametrize(
    ("written", "rule", "value"),
    [
        (0.25, "fixed", 0.25),
        (1, "fixed", 1.0),
        ("best_f1", "best_f1", None),
        ({"miss_rate_at_most": 0.01}, "miss_rate_at_most", 0.01),
        ({"rule": "recall_at_least", "value": 0.9}, "recall_at_least", 0.9),
    ],
)
def test_a_threshold_is_a_number_or_a_rule_and_comes_back_as_it_was_meant(written, rule, value):
    settings = PredictSettings.model_validate({"threshold": written})
    assert (settings.threshold.rule, settings.threshold.value) == (rule, value)
    assert PredictSettings.model_validate(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    "written", ["best", "recall_at_least", {"best_f1": 0.5}, {"recall_at_least": 1.5}, 2, True, [0.1], {}]
)
def test_what_is_no_threshold_is_refused(written):
    with pytest.raises(ValidationError):
        PredictSettings.model_validate({"threshold": written})


def test_only_backgrounds_can_be_hard():
    given = {"name": "documents", "type": "folder", "images": "d", "hard": True}
    assert FolderSource.model_validate({**given, "role": "background"}).hard
    with pytest.raises(ValidationError, match="backgrounds only"):
        FolderSource.model_validate({**given, "role": "normal"})


def test_the_library_never_hears_of_seeds():
    assert "seeds" not in TrainSettings(seeds=3).library_settings()


def test_where_photos_are_kept_is_ours_and_not_the_librarys():
    assert TrainSettings().cache == "auto"
    assert TrainSettings(cache=False).cache == "off"  # as YAML reads a bare `off`
    assert "cache" not in TrainSettings(cache="ram").library_settings()
    with pytest.raises(ValidationError, match="'auto', 'ram', 'disk' or 'off'"):
        TrainSettings(cache=True)
