"""Read by Python at its start in the runs that the chaos tests start: do something at the k-th file operation.

``CHAOS_ROOT``: only operations below this folder count; ``CHAOS_AT``: which one; ``CHAOS_DO``: ``kill`` ends this very
process as ``kill -9`` does, just before the operation; ``full`` lets it and every later one fail as a full disk does.
Each process counts for itself.
"""

import os
import sys

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _install(root: str, at: int, do: str) -> None:
    import errno
    import signal

    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event == "open":
            counts = isinstance(arguments[2], int) and bool(arguments[2] & _WRITES)
        else:
            counts = event in {"os.rename", "os.mkdir", "os.link", "os.symlink"} or (
                event == "os.remove" and do == "kill"  # a full disk lets files be removed
            )
        if not counts or not isinstance(arguments[0], str) or not os.path.abspath(arguments[0]).startswith(root):  # noqa: PTH100
            return
        seen += 1
        if seen < at:
            return
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

    sys.addaudithook(hook)


if os.environ.get("CHAOS_AT"):
    _install(os.environ["CHAOS_ROOT"], int(os.environ["CHAOS_AT"]), os.environ["CHAOS_DO"])
