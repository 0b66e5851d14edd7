from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wreckognize.evaluation.latency import Latency, measure


class Clock:
    """Stands still but for what `look` takes."""

    def __init__(self, seconds: dict[Path, float]) -> None:
        self.seconds, self.now, self.seen = seconds, 0.0, list[Path]()

    def look(self, path: Path) -> None:
        self.seen.append(path)
        self.now += self.seconds[path]

    def __call__(self) -> float:
        return self.now


def test_median_p95_and_fps_of_known_times():
    paths = [Path(f"{number}.jpg") for number in range(1, 21)]
    clock = Clock({path: number / 1000 for number, path in enumerate(paths, 1)})
    latency = measure(clock.look, paths, clock=clock)
    assert latency.photos == 20
    assert latency.median_ms == pytest.approx(10.5)
    assert latency.p95_ms == pytest.approx(np.percentile(np.arange(1, 21), 95))
    assert latency.fps == pytest.approx(20 / 0.210)


def test_warm_up_is_not_timed_and_starts_again_where_photos_are_few():
    slow, fast = Path("slow.jpg"), Path("fast.jpg")
    clock = Clock({slow: 0.2, fast: 0.1})
    latency = measure(clock.look, [slow, fast], warmup=3, clock=clock)
    assert clock.seen == [slow, fast, slow, slow, fast]
    assert latency == Latency(
        pytest.approx(150.0), p95_ms=pytest.approx(195.0), fps=pytest.approx(2 / 0.3), photos=2
    )


def test_the_real_clock_runs():
    latency = measure(lambda path: sum(range(1000)), [Path("a.jpg")] * 5, warmup=0)
    assert 0 < latency.median_ms <= latency.p95_ms


def test_no_photos_are_refused():
    with pytest.raises(ValueError, match="no photos to time"):
        measure(lambda path: None, [])


def test_an_error_of_the_system_is_not_hidden():
    def look(path: Path) -> None:
        raise OSError("cannot read")

    with pytest.raises(OSError, match="cannot read"):
        measure(look, [Path("a.jpg")])
