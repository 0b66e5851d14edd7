"""What a process of the service is told to serve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wreckognize.serving.settings import ServiceSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a worker serves.

    Attributes:
        bundle: its folder.
        settings: of each process.
        workers: processes that share the port, the rates of keys and the cores.
        cores: that a process may use; None: its share of this machine's.
        spare: one more stands by, warm, and takes the place of one that dies.
        drain: seconds between SIGTERM and the closing of the port.
        patience: seconds that open requests have after that.
        drift: a folder that keeps what drift is reckoned from; None: memory only.
        feedback: a folder or URL that keeps corrections; None: none is taken.
        feedback_most: so many corrections are kept there.
    """

    bundle: Path
    settings: ServiceSettings
    workers: int = 1
    cores: int | None = None
    spare: bool = True
    drain: float = 2.0
    patience: float = 30.0
    drift: Path | None = None
    feedback: str | None = None
    feedback_most: int = 10_000

    def to_json(self) -> bytes:
        """For another process."""
        return msgspec.json.encode(self, enc_hook=str)

    @classmethod
    def from_json(cls, data: bytes) -> Order:
        """From another process."""

        def as_path(kind: type, value: Any) -> Path:
            return Path(value)

        return msgspec.json.decode(data, type=cls, dec_hook=as_path)
