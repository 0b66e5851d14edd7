"""What the doctor finds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from wreckognize import doctor
from wreckognize.cli.checking import print_diagnosis
from wreckognize.doctor import diagnose
from wreckognize.errors import UsageError


def by_name(checks):
    return {check.name: check for check in checks}


def test_a_machine_is_described_without_waking_torch(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    checks = diagnose()
    assert [check.name for check in checks] == [
        *("Python", "torch", "ultralytics", "onnxruntime", "openvino", "nncf", "optuna", "ray", "fastapi"),
        *("starter", "GPU", "cores", "memory", "disk"),
    ]
    assert all(check.remedy for check in checks if check.ok is False)
    assert int(by_name(checks)["cores"].found) >= 1


@pytest.mark.parametrize(("version", "ok"), [((3, 10, 14), False), ((3, 11, 0), True), ((4, 0, 1), True)])
def test_python_is_new_enough_or_not(version, ok):
    check = doctor.python_check(version)
    assert (check.ok, bool(check.remedy)) == (ok, not ok)
    assert check.found.startswith(".".join(map(str, version)))


def test_a_package_is_looked_for_under_all_its_names():
    assert doctor.package_check("yaml", ("no-such-package", "pyyaml")).ok
    missing = doctor.package_check("torch", ("no-such-package",))
    assert (missing.ok, missing.found, missing.remedy) == (
        False,
        "not installed",
        'pip install "wreckognize[yolo]"',
    )


def test_the_starter_is_there_or_not(tmp_path):
    path = tmp_path / "starter.safetensors"
    assert doctor.starter_check(path).ok is None
    path.write_bytes(b"x" * 1_800_000)
    path.with_suffix(".json").write_text("{}")
    assert (doctor.starter_check(path).ok, doctor.starter_check(path).found) == (True, "1.8 MB")


def nvidia_smi(folder: Path, script: str) -> str:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_gpus_are_those_the_driver_shows(tmp_path):
    check = doctor.gpu_check(
        nvidia_smi(tmp_path, "echo 'NVIDIA L4, 23034 MiB, 550.1'; echo 'NVIDIA T4, 15360 MiB, 550.1'")
    )
    assert (check.ok, check.found) == (True, "NVIDIA L4, 23034 MiB, 550.1; NVIDIA T4, 15360 MiB, 550.1")


@pytest.mark.parametrize(("script", "found"), [("exit 9", "nvidia-smi failed"), ("true", "none")])
def test_without_a_working_gpu_the_cpu_is_named(tmp_path, script, found):
    check = doctor.gpu_check(nvidia_smi(tmp_path, script))
    assert check.ok is None
    assert check.found.startswith(found)
    assert "CPU" in check.remedy


def test_without_a_driver_there_is_no_gpu(tmp_path):
    assert doctor.gpu_check(str(tmp_path / "nvidia-smi")).found == "none (no nvidia-smi)"


@pytest.mark.parametrize(
    ("size", "ok", "found"), [(None, None, "unknown"), (2 * 2**30, None, "2.0 GiB"), (8 * 2**30, True, "8.0 GiB")]
)
def test_memory(size, ok, found):
    check = doctor.memory_check(size)
    assert (check.ok, check.found) == (ok, found)


def test_a_system_that_does_not_tell_its_memory(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert doctor._memory_bytes() is None


def test_disk(tmp_path):
    assert doctor.disk_check(tmp_path, needed=1).ok
    full = doctor.disk_check(tmp_path, needed=2**60)
    assert (full.ok, full.remedy) == (False, "free some, or use --out")


def test_a_studys_problems_come_one_by_one(write, values):
    path = write(values | {"seed": "x", "study": "a/b"})
    checks = doctor.study_checks(path)
    assert [(check.name, check.ok) for check in checks] == [("study", False), ("seed", False)]
    assert f"{path}:" in checks[1].found
    assert "a whole number" in checks[1].found


def test_what_several_lack_is_said_once_with_all_who_need_it(write, values):
    values["teacher"]["weights"] = "yolov8x.pt"
    for name in ("baseline", "ver5"):
        values["systems"][name]["weights"] = "yolov8x.pt"
    values["sources"][1]["images"] = "nowhere"
    path = write(values)
    images, weights = doctor.study_checks(path)
    assert (images.name, weights.name, weights.ok) == ("sources[1].images", "weights", False)
    assert weights.found.count("yolov8x.pt") == 1
    for who in ("teacher", "systems.baseline", "systems.ver5"):
        assert f"{who} ({path}:" in weights.found
    assert "fetch weights yolov8x" in weights.remedy


def test_two_sources_of_one_name_are_a_problem_here_too(write, values):
    values["sources"][1]["name"] = "claims"
    (check,) = doctor.study_checks(write(values))
    assert (check.name, check.ok) == ("sources[1].name", False)


def test_no_study_at_all(tmp_path):
    (check,) = doctor.study_checks(tmp_path / "nowhere.yaml")
    assert (check.name, check.ok, check.remedy) == ("study", False, "`wreckognize init` writes one to start from")


def test_fields_are_set_as_for_a_run(write, values):
    (check,) = doctor.study_checks(write(values), overrides=["split.val=2"])
    assert (check.name, check.ok) == ("split.val", False)
    assert "2" in check.found


def test_setting_fields_of_no_study_is_refused():
    with pytest.raises(UsageError, match="--set"):
        print_diagnosis(None, overrides=["split.val=0.2"])


def test_a_good_study_is_counted(write, values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no photo")
    values["sources"].append({"name": "notes", "type": "folder", "role": "normal", "images": "notes"})
    values["sources"].append({"name": "one", "type": "folder", "role": "normal", "images": "showroom/deep/b.jpg"})
    checks = by_name(diagnose(write(values)))
    assert checks["study"].found == "small: 5 sources, 2 systems"
    assert checks["source claims"].found == "1 photo files, damaged"
    assert checks["source one"].ok
    assert (checks["source notes"].ok, checks["source notes"].remedy) == (
        False,
        "put photos there, or correct the path",
    )
    assert checks["weights of teacher"].ok
    assert "teacher.pt (0.0 MB)" in checks["weights of baseline"].found
    assert (checks["weights of ver5"].ok, checks["weights of ver5"].found) == (
        None,
        "yolov8n.yaml: random weights",
    )
    assert checks["disk"].found.endswith(f"({tmp_path})")


def test_counting_stops_in_huge_folders(write, values, tmp_path, monkeypatch):
    (tmp_path / "many").mkdir()
    for number in range(5):
        (tmp_path / "many" / f"{number}.JPG").write_bytes(b"x")
    monkeypatch.setattr(doctor, "_COUNTED", 3)
    values["sources"][1]["images"] = "many"
    assert by_name(doctor.study_checks(write(values)))["source showroom"].found == "3 or more photo files, normal"


def test_the_starter_in_a_study_is_for_a_first_try(write, values, tmp_path, monkeypatch):
    from wreckognize.study import weights

    (tmp_path / "starter.safetensors").write_bytes(b"x")
    (tmp_path / "starter.json").write_text("{}")
    monkeypatch.setattr(weights, "starter_path", lambda: tmp_path / "starter.safetensors")
    values["systems"]["ver5"]["weights"] = "starter"
    check = by_name(doctor.study_checks(write(values)))["weights of ver5"]
    assert (check.ok, check.found) == (None, "starter")


def test_larger_networks_want_more_disk(make, values):
    small = make(values)
    values["systems"]["ver5"]["weights"] = "yolov8x.yaml"
    large = make(values)
    assert doctor._disk_needed(small.systems, 1000) == 7 * 6_000_000 + 1000 * 20_000 * 2
    assert doctor._disk_needed(large.systems, 1000) > 137 * 6_000_000
