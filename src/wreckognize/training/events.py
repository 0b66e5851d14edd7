"""What a training child tells its parent: JSON lines in a file that only grows.

``start`` and ``batch`` move the bar; ``epoch`` says how an epoch went; ``anew`` voids all before it; ``note`` is for
the user.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from wreckognize.training.state import Epoch

EVENT_SECONDS = 0.5


class Events:
    """Appends to the events file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._began = time.monotonic()
        self._last = 0.0
        self._batches = 0  # since the last event
        if file.exists() and not file.read_bytes().endswith(b"\n"):
            self._append("\n")  # the last line was torn

    def callbacks(self) -> dict[str, Callable[[Any], None]]:
        """For the library's trainer."""
        return {"on_train_start": self.start, "on_train_batch_end": self.batch_end}

    def start(self, trainer: Any) -> None:
        """The training stands at the beginning of an epoch."""
        self._write("start", epoch=trainer.start_epoch, epochs=trainer.epochs, batches=len(trainer.train_loader))

    def batch_end(self, trainer: Any) -> None:
        """A batch is done; told twice a second at most."""
        self._batches += 1
        if time.monotonic() - self._last >= EVENT_SECONDS:
            self._last = time.monotonic()
            loss = sum(float(value) for value in trainer.tloss.values()) if trainer.tloss else None
            self._write("batch", epoch=trainer.epoch, loss=loss)

    def epoch_end(self, epoch: Epoch) -> None:
        """An epoch is done, and its state is on disk."""
        self._write("epoch", **epoch.model_dump())

    def catch_up(self, epochs: Iterable[Epoch]) -> None:
        """Tell of the epochs whose state was written when the process was killed before it could say so."""
        told = since_anew(read_events(self._file, 0)[0])
        known = {event["epoch"] for event in told if event["event"] == "epoch"}
        for epoch in epochs:
            if epoch.epoch not in known:
                self.epoch_end(epoch)

    def anew(self) -> None:
        """Nothing told so far counts."""
        self._write("anew")

    def note(self, text: str) -> None:
        """Tell the user, and the log."""
        self.log(text)
        self._write("note", text=text)

    def log(self, text: str) -> None:
        """Tell the log."""
        sys.stderr.write(f"{text}\n")

    def _write(self, event: str, **values: Any) -> None:
        seconds = round(time.monotonic() - self._began, 2)
        line = json.dumps({"event": event, "seconds": seconds, "batches_new": self._batches, **values})
        self._batches = 0
        self._append(line + "\n")

    def _append(self, text: str) -> None:
        with self._file.open("a") as file:
            file.write(text)


def read_events(file: Path, position: int) -> tuple[list[Mapping[str, Any]], int]:
    """The whole lines from a position on, and the position after them; a line torn by a kill is passed over."""
    if not file.exists():
        return [], position
    with file.open("rb") as lines:
        lines.seek(position)
        text = lines.read()
    whole = text[: text.rfind(b"\n") + 1]  # a line may be half written
    events = [event for line in whole.splitlines() if (event := _parsed(line)) is not None]
    return events, position + len(whole)


def _parsed(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def since_anew(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Events of the training that stands, without those of one that was given up."""
    counted: list[Mapping[str, Any]] = []
    for event in events:
        if event["event"] == "anew":
            counted.clear()
        else:
            counted.append(event)
    return counted
