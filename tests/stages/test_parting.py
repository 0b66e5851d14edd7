"""A run says which group is too large for both parts of validation, and what to do."""

import yaml
from photographs import draw_photo
from studies import write_study

from wreckognize import pipeline
from wreckognize.progress import Silent
from wreckognize.stages.data import split_notes
from wreckognize.stages.run import Run
from wreckognize.study import Study
from wreckognize.workspace import open_workspace


class Said(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def test_a_case_that_holds_all_vehicles_of_validation_is_named_by_the_run_and_in_the_report(
    tiny_weights, tmp_path
):
    file = write_study(tmp_path / "study", tiny_weights)
    content = yaml.safe_load(file.read_text())
    copy = draw_photo(file.parent / "case" / "0.jpg", 500)
    for number in range(1, 6):
        (copy.parent / f"{number}.jpg").write_bytes(copy.read_bytes())
    case = {"name": "case", "type": "folder", "role": "damaged", "images": "case", "split": "val"}
    for source in content["sources"]:
        if source["role"] != "background":
            source.setdefault("split", "train")
    content["sources"].append(case)
    content["systems"]["ver6"]["teacher"] = {
        "imgsz": 32
    }  # so that no pass over the photos is needed to split them
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    study, said = Study.load(file), Said()
    pipeline.run(study, out=tmp_path / "run", until="split", progress=said)
    (line,) = [line for line in said.lines if "one group only" in line]
    assert line.startswith("  note: Validation has photos with a vehicle in one group only")
    assert "case/0.jpg and those that look like it (6 photos)" in line
    assert "What to do" in line
    with open_workspace(tmp_path / "run") as workspace:
        run = Run(study, workspace, Silent())
        assert set(run.calibration_photos()["source"]) == {"case", "background"}
        assert line.removeprefix("  note: ") in split_notes(run), "so it stands in the report"
