"""A Ray cluster to work on: joined where the study names one, else started on this machine and taken down again.

Ray reports to nobody, and a Ray of ours writes only below a temporary folder that is taken away at the end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wreckognize.errors import ClusterError, MissingExtraError

OBJECT_STORE_BYTES = 512 * 2**20
"""Of a Ray started here: weights and finished parts pass through it; photos do not."""

_CONNECT_SECONDS = 5
_LONGEST_FOLDER = 24


def import_ray() -> Any:
    """Ray, told not to report its use.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "working on several machines") from error
    return ray


@contextmanager
def joined(address: str | None) -> Iterator[Any]:
    """Ray, connected until the end of the block.

    Args:
        address: ``HOST:PORT`` or ``auto`` of a running cluster, which is left running; None starts one here.

    Raises:
        ClusterError: the cluster cannot be reached or has other versions.
        MissingExtraError: Ray is not installed.
    """
    ray = import_ray()
    if ray.is_initialized():  # whoever connected this process keeps the connection
        yield ray
        return
    folder = None if address is not None else _short_folder()
    try:
        if folder is None:
            _join(ray, str(address))
        else:
            _start(ray, folder)
        yield ray
    finally:
        ray.shutdown()  # of a cluster that was joined, it only takes leave
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _short_folder() -> str:
    """Ours, for all that Ray writes; a socket's path must not be longer than 107 bytes, of which Ray takes 80."""
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="wr-", dir=usual if len(usual.encode()) <= _LONGEST_FOLDER else "/tmp")


def _start(ray: Any, folder: str) -> None:
    # Ray wants a token between its own processes, and would write one into the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_agent_register_timeout_ms", "120000")  # on a busy machine it dies of impatience
    ray.init(
        address="local",
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=folder,
    )


def _join(ray: Any, address: str) -> None:
    _require_answer(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # Ray raises RuntimeError, ConnectionError and others of its own
        text = " ".join(str(error).split())
        if "ersion mismatch" in text:
            raise ClusterError(
                text[:600],
                where=f"scale.address: {address}",
                remedy="install the same versions of Python and Ray here and on all machines of the cluster",
            ) from error
        raise ClusterError(
            f"the cluster cannot be joined: {text[:400]}",
            where=f"scale.address: {address}",
            remedy="run on a machine of the cluster (one where `ray start` was called), with the cluster's "
            "RAY_AUTH_TOKEN if it has one; `ray status` there says whether it runs",
        ) from error


def _require_answer(address: str) -> None:
    """Ray would try for minutes where nothing listens."""
    host, _, port = address.rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"nothing answers there ({error})",
            where=f"scale.address: {address}",
            remedy="correct the address (`ray start --head` prints it), or start the cluster",
        ) from error
