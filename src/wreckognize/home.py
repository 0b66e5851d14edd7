"""Nothing is written into the home folder of whoever runs this."""

from __future__ import annotations

import atexit
import os
import tempfile


def keep_matplotlib_out() -> None:
    """Give matplotlib a folder of its own until this process ends; call it before its first import.

    Left alone it puts a list of fonts and its settings under ``~/.cache`` and ``~/.config``. A folder that the user
    chose (``MPLCONFIGDIR``) stays.
    """
    if "MPLCONFIGDIR" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="wreckognize-")
        atexit.register(folder.cleanup)
        os.environ["MPLCONFIGDIR"] = folder.name
