"""One undisturbed run for all that disturb one."""

from pathlib import Path

import pytest
from chaos.subject import Subject, make_subject


@pytest.fixture(scope="session")
def subject(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return make_subject(tmp_path_factory.mktemp("undisturbed"), tiny_weights)
