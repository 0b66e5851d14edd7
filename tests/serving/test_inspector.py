from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from services import PATIENCE, Engine, inspecting, until

from wreckognize import images
from wreckognize.errors import InputError
from wreckognize.inference.stream import PhotoFile, look_at
from wreckognize.inference.traits import read_traits
from wreckognize.serving.inspector import Inspector
from wreckognize.serving.lanes import Lanes
from wreckognize.serving.measures import Measures
from wreckognize.serving.queued import EngineFailed, QueueFull, Stopping
from wreckognize.serving.settings import ServiceSettings
from wreckognize.serving.warming import paying_batch

SETTINGS = ServiceSettings(batch=1, decoders=1)


def results(inspector, files):
    futures = inspector.enter([(file.name, file.read_bytes()) for file in files])
    return [future.result(PATIENCE) for future in futures]


@pytest.fixture
def engine(detector):
    return Engine(detector)


class Held:
    """Holds an engine back until it is let go."""

    def __init__(self, engine):
        self.reached, self.go = threading.Event(), threading.Event()

        def wait(batch):
            self.reached.set()
            assert self.go.wait(PATIENCE)

        engine.before = wait


def test_photos_give_what_the_stream_gives_bit_for_bit(served, detector, drawn):
    headers = [images.read_header(file) for file in drawn]
    files = [
        PhotoFile(file.name, file, header.width, header.height)
        for file, header in zip(drawn, headers, strict=True)
    ]
    settings = served.stream_settings(batch=1)
    expected = {look.photo: look for look in look_at(files, detector, settings)}
    with inspecting(served, detector, replace(SETTINGS, decoders=3)) as inspector:
        found = results(inspector, drawn)
    for seen, file, header in zip(found, drawn, headers, strict=True):
        look = expected[file.name]
        np.testing.assert_array_equal(seen.look.boxes, look.boxes)
        np.testing.assert_array_equal(seen.look.confidences, look.confidences)
        assert (seen.width, seen.height) == (header.width, header.height)
        assert seen.brightness == pytest.approx(read_traits(file).brightness, abs=0.5)
    assert max(seen.look.score for seen in found) > 0.3


def test_batches_give_what_single_photos_give(served, detector, drawn):
    with inspecting(served, detector, SETTINGS) as inspector:
        single = results(inspector, drawn)
    with inspecting(served, detector, replace(SETTINGS, batch=8, patience=0.5)) as inspector:
        together = results(inspector, drawn)
    for one, other in zip(single, together, strict=True):
        assert other.look.score == pytest.approx(one.look.score, abs=1e-4)


def test_a_batch_holds_one_shape_and_no_more_than_it_may(served, engine, drawn):
    with inspecting(served, engine, replace(SETTINGS, batch=2, patience=0.2)) as inspector:
        engine.batches.clear()
        results(inspector, drawn)
    assert sum(shape[0] for shape in engine.batches) == len(drawn)
    assert max(shape[0] for shape in engine.batches) == 2


@pytest.mark.parametrize(
    ("seconds", "batch"),
    [
        (lambda size: 1.0, 32),  # a batch takes as long as one photo
        (lambda size: 1.0 * size, 1),  # nothing is saved
        (lambda size: max(1.0, 0.25 * size), 4),
    ],
)
def test_the_batch_is_as_large_as_pays(seconds, batch):
    now = [0.0]

    def infer(size):
        now[0] += seconds(size)

    assert paying_batch(infer, clock=lambda: now[0]) == batch


def test_the_batch_is_measured_where_none_is_given(served, engine):
    with inspecting(served, engine, replace(SETTINGS, batch=None)) as inspector:
        assert inspector.batch in (1, 2, 4, 8, 16, 32)
        assert {shape[0] for shape in engine.batches} >= {1, 2}


def test_places_are_taken_for_all_photos_or_none_and_come_back(served, engine, drawn):
    data = drawn[0].read_bytes()
    with inspecting(served, engine, replace(SETTINGS, places=4, photos=4)) as inspector:
        held = Held(engine)
        first = inspector.enter([("a", data)] * 3)
        with pytest.raises(QueueFull):
            inspector.enter([("b", data)] * 2)
        (last,) = inspector.enter([("c", data)])
        assert inspector.free_places == 0
        held.go.set()
        for future in (*first, last):
            future.result(PATIENCE)
        assert inspector.free_places == 4


def test_a_photo_given_up_frees_its_place_and_is_not_looked_at(served, engine, drawn):
    data = drawn[0].read_bytes()
    with inspecting(served, engine, replace(SETTINGS, places=64)) as inspector:
        held = Held(engine)
        engine.batches.clear()
        futures = inspector.enter([(str(number), data) for number in range(20)])
        assert held.reached.wait(PATIENCE)
        given_up = [future for future in futures if future.cancel()]
        assert len(given_up) >= 18
        assert inspector.free_places >= 64 - 2
        held.go.set()
        for future in futures:
            if future not in given_up:
                future.result(PATIENCE)
        until(lambda: inspector.free_places == 64)
    assert len(engine.batches) == len(futures) - len(given_up)


def test_a_bad_photo_costs_only_itself(served, detector, drawn):
    good = drawn[0].read_bytes()
    with inspecting(served, detector, SETTINGS) as inspector:
        bad, cut, fine = inspector.enter([("bad", b"no photo"), ("cut", good[:-200]), ("fine", good)])
        with pytest.raises(InputError, match="not a photo"):
            bad.result(PATIENCE)
        with pytest.raises(InputError, match="truncated"):
            cut.result(PATIENCE)
        assert fine.result(PATIENCE).look.error is None


def test_many_pixels_and_many_scans_are_refused_before_decoding(served, detector, monkeypatch):
    def never(photo):
        raise AssertionError("decoded")

    _, large = cv2.imencode(".png", np.zeros((200, 300, 3), np.uint8))
    _, small = cv2.imencode(".jpg", np.zeros((20, 30, 3), np.uint8))
    scans = small.tobytes()[:-2] + b"\xff\xda\x00\x02" * 200 + b"\xff\xd9"
    with inspecting(served, detector, replace(SETTINGS, pixels=50_000)) as inspector:
        monkeypatch.setattr("wreckognize.serving.reading.images.decode", never)
        for data in (large.tobytes(), scans):
            (future,) = inspector.enter([("x", data)])
            with pytest.raises(InputError) as caught:
                future.result(PATIENCE)
            assert caught.value.kind == "too_many_pixels"


def test_a_decoder_that_raises_what_it_should_not_costs_one_photo(served, detector, drawn, monkeypatch):
    with inspecting(served, detector, SETTINGS) as inspector:
        with monkeypatch.context() as patch:
            patch.setattr("wreckognize.serving.reading.images.read_header", lambda data: 1 / 0)
            (future,) = inspector.enter([("x", drawn[0].read_bytes())])
            with pytest.raises(InputError, match="damaged"):
                future.result(PATIENCE)
        assert len(results(inspector, drawn)) == len(drawn)


@pytest.mark.parametrize("kind", ["raises", "no numbers"])
def test_an_engine_that_fails_is_not_ready_until_it_works_again(served, engine, drawn, kind, monkeypatch):
    monkeypatch.setattr("wreckognize.serving.inspector._RETRY", 0.05)
    with inspecting(served, engine, replace(SETTINGS, failures=2)) as inspector:
        if kind == "raises":
            engine.before = lambda batch: 1 / 0
        else:
            engine.spoil = lambda raw: replace(raw, confidences=raw.confidences * np.nan)
        for failed in range(2):
            assert inspector.failing == (failed >= 2)
            (future,) = inspector.enter([("x", drawn[0].read_bytes())])
            with pytest.raises(EngineFailed):
                future.result(PATIENCE)
        assert inspector.failing
        engine.before, engine.spoil = lambda batch: None, lambda raw: raw
        until(lambda: not inspector.failing)  # without any photo: it tries by itself
        assert len(results(inspector, drawn)) == len(drawn)


def test_one_photo_that_the_engine_fails_on_does_not_take_its_batch_along(served, engine, drawn):
    white = cv2.imencode(".png", np.full((96, 72, 3), 255, np.uint8))[1].tobytes()

    def refuse_white(batch):
        if (batch[..., 0] == 255).mean(axis=(1, 2)).max() > 0.5:
            raise RuntimeError("no white")

    with inspecting(served, engine, replace(SETTINGS, batch=8, patience=0.5)) as inspector:
        engine.before = refuse_white
        upright = [file.read_bytes() for file in drawn if images.read_header(file).height == 160]
        futures = inspector.enter([("w", white), *(("u", data) for data in upright)])
        with pytest.raises(EngineFailed):
            futures[0].result(PATIENCE)
        for future in futures[1:]:
            future.result(PATIENCE)
        assert not inspector.failing


def test_an_inference_that_does_not_come_back_counts_as_failing(served, engine, drawn):
    with inspecting(served, engine, replace(SETTINGS, stuck=0.1)) as inspector:
        held = Held(engine)
        (future,) = inspector.enter([("x", drawn[0].read_bytes())])
        until(lambda: inspector.failing)
        held.go.set()
        future.result(PATIENCE)
        assert not inspector.failing


def test_stopping_finishes_what_was_taken(served, engine, drawn):
    inspector = Inspector(served, Lanes(engine), SETTINGS, Measures())
    inspector.start()
    held = Held(engine)
    futures = inspector.enter([(file.name, file.read_bytes()) for file in drawn])
    stopping = threading.Thread(target=lambda: inspector.stop(PATIENCE))
    stopping.start()
    held.go.set()
    assert all(future.result(PATIENCE) for future in futures)
    stopping.join(PATIENCE)
    with pytest.raises(Stopping):
        inspector.enter([("x", b"")])
