"""A checkpoint that a person vouched for, turned into data once, in a process of its own.

Unpickling it may run any program, so this process does not: a child opens it, builds what it holds, and leaves a
``.safetensors`` file with its card, which are read like any others. That keeps what it does out of the run's own
process and makes it happen once; it does not lock it in, as the child has the rights of whoever started the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from wreckognize.detectors.ultralytics import fence
from wreckognize.detectors.weights import card_path
from wreckognize.errors import WeightsError
from wreckognize.files import sha256_of

SECONDS = 900
_LINES_SHOWN = 6


def as_data(path: Path, folder: Path) -> Path:
    """The ``.safetensors`` file in ``folder`` that a trusted checkpoint was turned into, now or before.

    Raises:
        WeightsError: the child ended without one.
    """
    digest = sha256_of(path)
    target = folder / digest[:16] / f"{path.stem}.safetensors"
    if target.exists() and card_path(target).exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wreckognize-") as library:
        command = [sys.executable, "-m", "wreckognize.detectors.unpickle", str(path), digest, str(target)]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, **fence(Path(library))},
                cwd=library,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
            said = done.stderr.strip().splitlines()[-_LINES_SHOWN:]
        except subprocess.TimeoutExpired:
            said = [f"it did not come to an end in {SECONDS} s"]
    if not card_path(target).exists():  # it is written last
        lines = "\n".join(f"    | {line}" for line in said)
        raise WeightsError(
            f"the checkpoint was trusted, but no network came out of it\n{lines}",
            where=str(path),
            remedy="have it converted to .safetensors where it was made",
        )
    return target
