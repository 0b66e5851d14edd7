"""A run on a disk that is full again and again, and with sources that are mounted read-only.

Run as ``unshare -rm python room.py ROOM STUDY SEED TRAININGS``: a user and mount namespace of its own lets anybody
mount, and takes the mounts away at its end. ROOM becomes a small tmpfs, STUDY's folder read-only. The run's folder is
``ROOM/run``; each time the run ends for want of room it is given a few pages more, until it comes to its end; a
training, which takes seconds to fail, fails TRAININGS times at most. Prints JSON: what each failure said, and the
digests of what was left.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import subprocess
import sys
from pathlib import Path

PAGE = 4096
PAGES = (1, 2, 4, 8, 16, 32)
TRAINING_PAGES = (16, 64, 256)
ENOUGH_PAGES = 2000
MOST_TRIES = 200


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def used(room: Path) -> int:
    """Pages that files take."""
    return sum(-(-path.stat().st_size // PAGE) for path in room.rglob("*") if path.is_file())


def call(arguments: list[str]) -> tuple[int, str]:
    """A command of ours in this process: its exit code, and what it said on standard error."""
    from wreckognize.cli import main

    sys.argv = ["wreckognize", *arguments]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def writable(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    return True


def go(room: Path, study: Path, seed: int, trainings: int) -> dict[str, object]:
    """Mount, run until the end, tell."""
    from chaos.subject import digests, leftovers

    mount("-t", "tmpfs", "-o", f"size={8 * PAGE}", "room", str(room))
    mount("--bind", str(study.parent), str(study.parent))
    mount("-o", "remount,bind,ro", str(study.parent))
    if writable(study.parent):
        raise SystemExit("the study's folder is not read-only")
    lots, failures, out = random.Random(seed), [], room / "run"
    for _ in range(MOST_TRIES):
        code, said = call(["run", str(study), "--out", str(out)])
        if code == 0:
            break
        failures.append({"code": code, "said": said, "parts": leftovers(out) if out.exists() else []})
        more = lots.choice(PAGES)
        if "error: " in said and "training of" in said.split("error: ")[1]:
            trainings -= 1
            more = lots.choice(TRAINING_PAGES) if trainings > 0 else ENOUGH_PAGES
        mount("-o", f"remount,size={(used(room) + more) * PAGE}", str(room))
    return {"code": code, "said": said, "failures": failures, "digests": digests(out), "parts": leftovers(out)}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    print(json.dumps(go(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))  # noqa: T201
