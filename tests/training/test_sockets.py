"""The temporary folder that loader workers open their sockets in."""

import socket
import tempfile
from pathlib import Path

import pytest

from wreckognize.training.sockets import keep_sockets_short


@pytest.mark.parametrize("long", [False, True])
def test_a_socket_fits_however_long_the_temporary_folder_s_path_is(tmp_path, monkeypatch, long):
    folder = tmp_path / ("d" * 120) if long else tmp_path.parents[-2]
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    keep_sockets_short()
    assert (tempfile.tempdir != str(folder)) == long
    place = tempfile.mkdtemp(prefix="pymp-")
    path = tempfile.mktemp(prefix="listener-", dir=place)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    Path(path).unlink()
    Path(place).rmdir()
