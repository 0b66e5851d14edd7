import subprocess
import sys

import pytest

import wreckognize


def test_the_public_names_are_sorted_and_there():
    assert wreckognize.__all__ == sorted(wreckognize.__all__)
    for name in wreckognize.__all__:
        assert getattr(wreckognize, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = wreckognize.Nonsense


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, wreckognize; print(len({'polars', 'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "0\n"
