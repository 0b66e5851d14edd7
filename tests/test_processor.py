from pathlib import Path

import pytest

from wreckognize import processor


def test_memory_available_is_what_the_machine_says_or_less():
    if not Path("/proc/meminfo").exists():
        assert processor.memory_available() == 0
        return
    import psutil

    assert 0 < processor.memory_available() <= psutil.virtual_memory().total


@pytest.mark.parametrize("version", [1, 2])
def test_a_container_leaves_what_its_limit_does(tmp_path, version):
    names = {1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
             2: ("memory.max", "memory.current", "memory.stat")}[version]  # fmt: skip
    prefix = "total_" if version == 1 else ""
    for name, text in zip(names, ["1000\n", "700\n", f"anon 5\n{prefix}inactive_file 150\n"], strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processor._container_room(tmp_path) == [450]
    (tmp_path / names[0]).write_text("max\n")
    assert processor._container_room(tmp_path) == []
    assert processor._container_room(tmp_path / "none") == []


def test_disk_space_is_that_of_the_folder(tmp_path):
    assert processor.disk_free(tmp_path) > 0


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("quota", "cores"), [("250000", [3]), ("50000", [1]), ("max", []), ("-1", [])])
def test_a_container_allows_the_cores_of_its_quota(tmp_path, version, quota, cores):
    files = {
        1: {"cpu/cpu.cfs_quota_us": quota, "cpu/cpu.cfs_period_us": "100000"},
        2: {"cpu.max": f"{quota} 100000"},
    }
    for name, text in files[version].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert processor._container_cores(tmp_path) == cores


def test_no_more_threads_than_the_quota(monkeypatch):
    monkeypatch.setattr(processor, "_container_cores", lambda: [1])
    assert processor.cpu_threads() == 1


@pytest.mark.parametrize("chosen", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_how_threads_wait_is_the_users_choice(monkeypatch, chosen):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    assert processor.let_cores_go() == {"GOMP_SPINCOUNT": processor.SPINS}
    monkeypatch.setenv(chosen, "7")
    assert processor.let_cores_go() == {}
