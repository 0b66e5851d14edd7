import pytest

from wreckognize.detectors.port import VehicleReading


def test_vehicle_classes_are_found_by_name():
    reading = VehicleReading.of(["person", "car", "boat", "truck"], ["car", "bus", "truck"])
    assert reading.indices == (1, 3)


def test_a_detector_of_one_class_is_a_vehicle_detector():
    assert VehicleReading.of(["Schaden"], ["car"]).indices == (0,)


def test_a_detector_without_vehicles_is_refused():
    with pytest.raises(ValueError, match=r"car, bus.*cat, dog"):
        VehicleReading.of(["cat", "dog"], ["car", "bus"])
