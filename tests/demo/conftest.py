import pytest

from wreckognize.demo.collection import Collection, make


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return make(tmp_path_factory.mktemp("demo") / "photos", seed=3, scale=0.05)
