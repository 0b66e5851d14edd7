"""Who a process is, for those who find its name later: also when its number belongs to another one by then."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_SIGNATURE = re.compile(r"process (\d+) on (\S*)(?: \(started at tick (\d+)\))? since \S+$")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a process wrote about itself.

    Attributes:
        pid: its number.
        host: the machine it ran on.
        ticks: when it was started, in clock ticks since the machine was; None where the system does not say.
    """

    pid: int
    host: str
    ticks: int | None

    @classmethod
    def read(cls, text: str) -> Signature | None:
        """What `this_process` wrote; None for any other text."""
        found = _SIGNATURE.match(text.strip())
        if found is None:
            return None
        pid, host, ticks = found.groups()
        return cls(int(pid), host, None if ticks is None else int(ticks))

    def gone(self) -> bool:
        """Whether the process is known to have ended; never of another machine's."""
        if self.host != socket.gethostname():
            return False
        if not _is_taken(self.pid):
            return True
        state, ticks = _stat(self.pid)
        return state == "Z" or (self.ticks is not None and ticks is not None and ticks != self.ticks)


def this_process() -> str:
    """This process in a line that people read, and `Signature.read`."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _, ticks = _stat(os.getpid())
    started = "" if ticks is None else f" (started at tick {ticks})"
    return f"process {os.getpid()} on {socket.gethostname()}{started} since {now}"


def _is_taken(pid: int) -> bool:
    """Whether some process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True


def _stat(pid: int) -> tuple[str | None, int | None]:
    """State and start of a process as Linux tells them; elsewhere nothing is known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, None
    fields = text.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    return fields[0], int(fields[19])
