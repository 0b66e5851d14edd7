"""Libraries that write into the home folder, or tell their makers who uses them, are kept from it here."""

from __future__ import annotations

import atexit
import importlib
import os
import tempfile
from typing import Any


def keep_matplotlib_out() -> None:
    """Give matplotlib a folder of its own until this process ends; call it before its first import.

    Left alone it puts a list of fonts and its settings under ``~/.cache`` and ``~/.config``. A folder that the user
    chose (``MPLCONFIGDIR``) stays.
    """
    if "MPLCONFIGDIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="wreckognize-")
        atexit.register(folder.cleanup)
        os.environ["MPLCONFIGDIR"] = folder.name


NO_REPORTS = {"ORT_DISABLE_TELEMETRY": "1"}
"""Set before ONNX Runtime is loaded, this keeps it to itself.

From 1.29 on it otherwise writes an identifier of the machine and a store of events under ``~/.cache/Microsoft`` and
sends them, from compiled code, out of sight of Python. It is quiet where it sees ``CI``.
"""


def import_onnxruntime() -> Any:
    """ONNX Runtime, without its reports to its maker; the only way in which it is imported here.

    Raises:
        ImportError: it is not installed.
    """
    os.environ.update(NO_REPORTS)
    runtime = importlib.import_module("onnxruntime")
    quieten = getattr(runtime, "disable_telemetry_events", None)
    if quieten is not None:
        quieten()  # for versions and systems that do not know the variable
    return runtime
