"""Helper processes for very much small work: started when it pays, replaced by this process where one dies."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import msgspec

from wreckognize.collect.helper import Answer, Request, answer, receive, send

MOST = 8
"""More only wait for one another and for the disk, and each takes some 20 MB."""

_ANSWERS = msgspec.msgpack.Decoder(Answer)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Helpers:
    """``number`` helper processes; none for 0 or 1, where this process does the work itself.

    What is asked is answered whatever becomes of a helper: if it cannot be started, is killed or answers nonsense,
    this process does its part.
    """

    def __init__(self, number: int) -> None:
        self._number = number if number > 1 else 0
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        self._started: list[subprocess.Popen[bytes]] = []
        for _ in range(self._number):
            self._idle.put(self._start())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            _end(process)

    @property
    def process_ids(self) -> list[int]:
        """Of the helpers that were started."""
        return [process.pid for process in self._started]

    def ask(self, requests: Iterable[Request]) -> Generator[Answer]:
        """Answers in the order of the requests."""
        if not self._number:
            yield from map(answer, requests)
            return
        with ThreadPoolExecutor(self._number, "helpers") as threads:
            yield from threads.map(self._ask_one, requests)

    def _ask_one(self, request: Request) -> Answer:
        process = self._idle.get()
        told: Answer | None = None
        if process is not None:
            told = _told(process, request)
            if told is None:
                _end(process)
                process = None
        self._idle.put(process)
        return answer(request) if told is None else told

    def _start(self) -> subprocess.Popen[bytes] | None:
        package = str(Path(__file__).parents[2])
        # -P and an own path: neither the current folder nor its modules are imported.
        command = [sys.executable, "-P", "-m", "wreckognize.collect.helper"]
        paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": paths},
            )
        except OSError:
            return None
        self._started.append(process)
        return process


def _told(process: subprocess.Popen[bytes], request: Request) -> Answer | None:
    """What a helper answers; None if it does not."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        send(process.stdin, request)
        data = receive(process.stdout)
        return None if data is None else _ANSWERS.decode(data)
    except (OSError, ValueError, msgspec.MsgspecError):  # a broken pipe, a closed one, or nonsense
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.terminate()
    process.wait()
