"""The service's log: one JSON object a line, without photo content, without names of photos unless asked for."""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

import msgspec


class JsonLog:
    """Writes events to a stream, one JSON line each. Its calls may come from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._lock = threading.Lock()
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def __call__(self, event: str, *, level: str = "info", **fields: object) -> None:
        """Write one event."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = self._encoder.encode({"time": now, "level": level, "event": event, "pid": os.getpid(), **fields})
        with self._lock:
            self._stream.write(line.decode() + "\n")
            self._stream.flush()


class Forward(logging.Handler):
    """Sends what libraries log (uvicorn's warnings) to a `JsonLog`, without their tracebacks."""

    def __init__(self, log: JsonLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
        self._log("library", level=record.levelname.lower(), logger=record.name, text=text)
