"""Killing a study at seeded random moments within its work, and counting what came of it.

A *life* is one run's folder: its run is killed several times, each time in a later part of the work, and each time the
same command goes on; at the end it must have left what an undisturbed run leaves. Moments are drawn by stage and by
share of the stage's time in the undisturbed run, so that they spread over all of the work however fast the machine is;
some are drawn by the number of a file operation instead, which hits the instants between two steps of a write.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil
from chaos.subject import (
    RUN_SECONDS,
    Stage,
    Subject,
    digests,
    epochs_done,
    finish,
    leftovers,
    orphans,
    stages,
    start,
)

Victim = Literal["parent", "child", "group"]
POLL_SECONDS = 0.004
LEAST_SECONDS = 0.03
"""A stage that takes less is aimed at as if it took so long."""
LAST = 8
"""A loss of power damages some of so many files."""
GUARDED = ("test.lock.json", "test.looks.jsonl", ".lock")

OPERATIONS = 60
"""A kill at a file operation comes at one of so many after the start."""
TRAINING_WEIGHT = 2.0
"""A training is aimed at so much more often than its number and time would have it: two processes can be hit there."""
CHILD_SHARE = 0.6
"""Of the kills aimed at a training, so many are aimed at its child alone."""


@dataclass
class Tally:
    """What came of killing.

    Attributes:
        hits: kills that ended a process at work, by what was killed.
        places: the same, by what the run was doing.
        missed: draws for which the run had ended by itself.
        resumes: reruns that went on from a killed run's folder.
        lost: finished stages that were done again, and runs that did not come to their end.
        corrupted: files that differ from those of the undisturbed run, and files left half written.
        orphans: processes that went on after their run was killed.
        damaged: files that a simulated loss of power cut, emptied or took away.
        errors: what went wrong, in words.
    """

    hits: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    resumes: int = 0
    lost: int = 0
    corrupted: int = 0
    orphans: int = 0
    damaged: int = 0
    lives: int = 0
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Aim:
    """Where to kill: within a stage of the undisturbed run, at a share of its time; or at a file operation."""

    stage: int
    share: float
    victim: Victim
    operation: int | None


def campaign(
    subject: Subject,
    folder: Path,
    kills: int,
    *,
    seed: int,
    in_a_life: int = 3,
    power: bool = False,
    say: Callable[[str], None] = lambda text: None,
    until: float = float("inf"),
) -> Tally:
    """Kill until there are so many kills that hit, or the time is up.

    Args:
        subject: what is run.
        folder: for the runs.
        kills: how many.
        seed: of the moments.
        in_a_life: kills of one run before it may end.
        power: after each kill, damage the files that were written last, as a loss of power may.
        say: told of every kill.
        until: no life is begun later than this (``time.monotonic``).
    """
    tally, lots = Tally(), random.Random(seed)
    wanted = subject.digests
    while tally.hits.total() < kills and time.monotonic() < until:
        out = folder / f"life-{tally.lives}"
        for aim in aims(subject, min(in_a_life, kills - tally.hits.total()), lots):
            _kill(subject, out, aim, tally, say, damaged=power)
            if power and out.exists():
                tally.damaged += _damage(out, lots, say)
        _end(subject, out, wanted, tally, power=power)
        tally.lives += 1
    return tally


def aims(subject: Subject, count: int, lots: random.Random) -> Iterator[Aim]:
    """Moments in the order of the work: one in each of ``count`` stretches of the undisturbed run.

    Half of the stretches are of equal numbers of stages, half of equal time, so that neither the many short stages nor
    the long ones (training, report) are left out; trainings count for more.
    """
    order = subject.order
    whole = sum(stage.seconds for stage in order)
    weights = [
        (1 / len(order) + stage.seconds / whole) * (TRAINING_WEIGHT if _trains(stage) else 1) for stage in order
    ]
    drawn = sorted((number + lots.random()) / count for number in range(count))
    for place in drawn:
        rest, stage = place * sum(weights), 0
        while stage < len(order) - 1 and rest > weights[stage]:
            rest -= weights[stage]
            stage += 1
        alone = _trains(order[stage]) and lots.random() < CHILD_SHARE
        victim: Victim = "child" if alone else lots.choice(("parent", "group"))
        operation = lots.randrange(1, OPERATIONS) if not alone and lots.random() < 0.35 else None
        yield Aim(stage, min(1.0, rest / weights[stage]), victim, operation)


def _trains(stage: Stage) -> bool:
    return stage.name.startswith("train:")


def _kill(
    subject: Subject, out: Path, aim: Aim, tally: Tally, say: Callable[[str], None], *, damaged: bool
) -> None:
    """Start the run, or let it go on, and kill it at the moment that was drawn."""
    hooked = None if aim.operation is None else {"CHAOS_AT": str(aim.operation), "CHAOS_DO": "kill"}
    began = stages(out)
    tally.resumes += out.exists()
    log = out.with_suffix(".log")
    said_before = log.stat().st_size if log.exists() else 0
    process = start(subject.study, out, log=log, hooked=hooked)
    if hooked is None:
        hit = _at(process, subject, out, aim)
    else:
        process.wait(RUN_SECONDS)
        # Of a training, its child may have met the moment: then the run ends with an error of its own.
        said = log.read_bytes()[said_before:]
        ended = process.returncode == -signal.SIGKILL or (process.returncode == 1 and b"exit code -9" in said)
        hit = "at a file operation" if ended else None
    process.wait(RUN_SECONDS)
    if hit is None:
        tally.missed += 1
        return
    done = stages(out)
    names = {stage.name for stage in done}
    where = next((stage.name for stage in subject.order if stage.name not in names), "the end")
    place = where.split(":")[0] if done or out.exists() else "start"
    if place == "train":
        place += f", epoch {epochs_done(out) + 1}"
    tally.hits[hit] += 1
    tally.places[place] += 1
    tally.lost += 0 if damaged else _redone(began, done)
    if hit == "child" and process.returncode != 1:
        tally.errors.append(f"the run whose training was killed ended with {process.returncode}, not 1")
    if aim.share < 0.5:  # the others are gone on with at once
        left = orphans(out)
        tally.orphans += len(left)
        tally.errors += [f"went on after the kill: {' '.join(one.cmdline())}" for one in left]
    say(f"killed {hit} in {where}")


def _at(process: subprocess.Popen[bytes], subject: Subject, out: Path, aim: Aim) -> Victim | None:
    """Wait for the moment, then kill; what was killed, None if the run had ended by then."""
    before = {stage.name for stage in subject.order[: aim.stage]}
    seconds = max(LEAST_SECONDS, subject.order[aim.stage].seconds)
    while process.poll() is None and not (
        _is_at_work(process, out) and before <= {one.name for one in stages(out)}
    ):
        time.sleep(POLL_SECONDS)
    child = _child(process) if aim.victim == "child" else None
    with suppress(subprocess.TimeoutExpired):
        process.wait(aim.share * seconds)
    if process.poll() is not None:
        return None
    if child is not None:
        with suppress(psutil.NoSuchProcess):  # its training had just ended: then the parent is killed
            child.kill()
            return "child"
    if aim.victim == "group":
        for one in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    os.killpg(process.pid, signal.SIGKILL)
    return "group" if aim.victim == "group" else "parent"


def _is_at_work(process: subprocess.Popen[bytes], out: Path) -> bool:
    """Whether a run has come so far as to hold its folder; before that it only reads its study."""
    lock = out / ".lock"
    return lock.exists() and lock.read_text().startswith(f"process {process.pid} ")


def _child(process: subprocess.Popen[bytes], *, patience: float = 20.0) -> psutil.Process | None:
    """The training child of a run, waited for while the run goes on."""
    until = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < until:
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(process.pid).children():
                if "wreckognize.training.child" in one.cmdline():
                    return one
        time.sleep(POLL_SECONDS)
    return None


def _redone(before: list, after: list) -> int:
    """Finished stages that a rerun did again, or forgot."""
    now = {stage.name: stage for stage in after}
    return sum(now.get(stage.name) != stage for stage in before)


def _damage(out: Path, lots: random.Random, say: Callable[[str], None]) -> int:
    """Damage some of the files that a killed run wrote last; how many.

    The locked test set and the record of looks are spared: they cannot be made again, and what is said of them when
    they are damaged is tested by itself. Linked photos are spared too; they are the sources.
    """
    own = [
        path for path in out.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1
    ]
    last = sorted((path for path in own if path.name not in GUARDED), key=lambda path: path.stat().st_mtime_ns)[
        -LAST:
    ]
    chosen = lots.sample(last, min(len(last), lots.randrange(1, 4)))
    if {"state.json", "state.copy.json"} <= {path.name for path in chosen}:
        # The copy is begun when the record is whole on the disk: one moment tears one of them only.
        chosen = [path for path in chosen if path.name != "state.copy.json"]
    for path in chosen:
        before = path.stat()
        match lots.choice(("cut", "zeroed", "gone")):
            case "cut":
                os.truncate(path, lots.randrange(before.st_size + 1) if before.st_size else 0)
            case "zeroed":  # size and time are on the disk, the bytes are not
                path.write_bytes(bytes(before.st_size))
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            case "gone":
                path.unlink()
    say(f"  and damaged {', '.join(path.relative_to(out).as_posix() for path in chosen)}")
    return len(chosen)


def _end(subject: Subject, out: Path, wanted: dict[str, str], tally: Tally, *, power: bool) -> None:
    """Let the run come to its end, and compare."""
    before = stages(out)
    tally.resumes += out.exists()
    done = finish(subject.study, out)
    if done.returncode != 0:
        tally.lost += 1
        tally.errors.append(f"{out.name} did not come to its end: {done.stderr[-800:]}")
        return
    redone = 0 if power else _redone(before, stages(out))  # what was damaged is to be done again
    tally.lost += redone
    if redone:
        tally.errors.append(f"{out.name}: {redone} finished stages were done again")
    found = digests(out)
    different = sorted(name for name in wanted | found if wanted.get(name) != found.get(name))
    left = [*leftovers(out), *(" ".join(one.cmdline()) for one in orphans(out))]
    tally.corrupted += len(different) + len(left)
    tally.errors += [f"{out.name}: {name} is not as in the undisturbed run" for name in different]
    tally.errors += [f"{out.name}: left behind: {name}" for name in left]
