"""A Ray cluster to work on: joined where the study names one, else started on this machine and taken down again.

Ray reports to nobody. A Ray of ours speaks by loopback only, asks nothing of other machines, and writes only below a
temporary folder that is taken away at the end.
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wreckognize.errors import ClusterError, MissingExtraError

OBJECT_STORE_BYTES = 512 * 2**20
"""Of a Ray started here: weights and finished parts pass through it; photos do not."""

_LOOPBACK = "127.0.0.1"
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
    with _no_dashboard() as port, _on_loopback():
        ray.init(
            address="local",
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            dashboard_host=_LOOPBACK,
            dashboard_port=port,
            log_to_driver=False,
            logging_level="ERROR",
            _node_ip_address=_LOOPBACK,
            _temp_dir=folder,
        )


@contextmanager
def _no_dashboard() -> Iterator[int]:
    """A port that is taken until the end of the block: where its dashboard's is, Ray goes on without one.

    Ray starts that process even where it is told not to include a dashboard, for its reports. With those switched off
    it still asks two addresses and looks up one name to learn which cloud it is in (2.60, `usage_lib`).
    """
    log = logging.getLogger("ray._private.services")
    before = log.level
    with socket.create_server((_LOOPBACK, 0)) as taken, warnings.catch_warnings():
        # Ray does not close the socket with which it tries the port.
        warnings.simplefilter("ignore", ResourceWarning)
        log.setLevel(logging.CRITICAL)  # it would say as an error what is meant
        try:
            yield taken.getsockname()[1]
        finally:
            log.setLevel(before)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A Ray that is started in the block keeps to loopback, as it does by itself on macOS and Windows.

    On Linux it takes the address of the way to a public resolver, looks up this machine's name, and listens to all.
    """
    constants: Any = importlib.import_module("ray._private.ray_constants")
    name = constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before = constants.ENABLE_RAY_CLUSTER, os.environ.get(name)
    constants.ENABLE_RAY_CLUSTER, os.environ[name] = False, "0"  # for this process, and for those that it starts
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before[0]
        os.environ.pop(name) if before[1] is None else os.environ.update({name: before[1]})


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
