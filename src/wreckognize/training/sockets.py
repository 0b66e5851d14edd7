"""Where loader workers hand over their batches: sockets in the temporary folder."""

from __future__ import annotations

import os
import tempfile

_LONGEST = 103  # bytes of a socket's path: macOS has the least room, Linux 107
_BELOW = len("/pymp-xxxxxxxx/listener-xxxxxxxx")  # what `multiprocessing` appends
_SHORT = ("/tmp", "/var/tmp")


def keep_sockets_short() -> None:
    """Have this process use another temporary folder where the path of the usual one is too long for a socket.

    A worker that cannot open its socket prints that and goes on; whoever waits for its batch would wait for ever.
    """
    for folder in (tempfile.gettempdir(), *_SHORT):
        if len(os.fsencode(folder)) + _BELOW <= _LONGEST and os.access(folder, os.W_OK | os.X_OK):
            tempfile.tempdir = folder
            return
