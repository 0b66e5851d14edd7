"""``make chaos``: kill a study a hundred times within its work, take its power away, and write the tally.

    python tests/chaos/run.py [--kills 100] [--seed 1] [--minutes 60] [--write]

Ends with exit code 1 if anything was lost or corrupted. ``--write`` puts the tally into docs/reliability.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from chaos.kills import Tally, campaign
from chaos.subject import Subject, make_subject, tiny_network

PAGE = HERE.parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- tally: begin -->", "<!-- tally: end -->"


def main() -> int:
    """Kill, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--power", type=int, default=25, help="kills after which the last written files are damaged"
    )
    parser.add_argument("--in-a-life", type=int, default=3, help="kills of one run before it may end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=90, help="begin no further run after so long")
    parser.add_argument("--write", action="store_true", help="write the tally into docs/reliability.md")
    given = parser.parse_args()
    began = time.monotonic()
    until = began + given.minutes * 60

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        subject = make_subject(folder, tiny_network(folder / "tiny.safetensors"))
        say("the undisturbed run is done")
        (folder / "killed").mkdir()
        killed = campaign(
            subject,
            folder / "killed",
            given.kills,
            seed=given.seed,
            in_a_life=given.in_a_life,
            say=say,
            until=began + given.minutes * 42,
        )  # seven tenths of the time
        say(f"killed: {killed}")
        (folder / "power").mkdir()
        power = campaign(
            subject,
            folder / "power",
            given.power,
            seed=given.seed + 1,
            in_a_life=given.in_a_life,
            power=True,
            say=say,
            until=until,
        )
        say(f"killed and damaged: {power}")
        full, room_held = disk(subject, folder / "room", given.seed, say)
    text = page_of(killed, power, seed=given.seed, minutes=(time.monotonic() - began) / 60, disk=full)
    print(text)
    for error in (*killed.errors, *power.errors):
        print(error)
    if given.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    return 1 if killed.errors or power.errors or not room_held else 0


def disk(subject: Subject, room: Path, seed: int, say: Callable[[str], None]) -> tuple[str, bool]:
    """The same study on a disk that is full again and again: in a sentence, and whether nothing was lost."""
    room.mkdir()
    words = [
        "unshare",
        "-rm",
        sys.executable,
        str(HERE / "room.py"),
        str(room),
        str(subject.study),
        str(seed),
        "4",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1200) if shutil.which("unshare") else None
    if done is None or done.returncode != 0:
        return "A full disk was not tried: no tmpfs can be mounted here.", True
    found = json.loads(done.stdout.splitlines()[-1])
    failures = found["failures"]
    told = sum(one["code"] in (1, 2) and "error: " in one["said"] and not one["parts"] for one in failures)
    same = found["code"] == 0 and found["digests"] == subject.digests
    say(f"the disk was full {len(failures)} times")
    sentence = (
        f"On a disk that was full {len(failures)} times (a tmpfs that grew by a few pages; sources mounted read-only): "
        f"{told} times told in a sentence with nothing half written; in the end "
        f"{'the same bytes as' if same else 'NOT the same bytes as'} the undisturbed run."
    )
    return sentence, same and told == len(failures)


def page_of(killed: Tally, power: Tally, *, seed: int, minutes: float, disk: str) -> str:
    """Both tallies in Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "ultralytics-opencv-headless", "polars"))
    lines = [
        f"Seed {seed}, {minutes:.0f} minutes; Python {platform.python_version()}, {versions}.",
        "",
        "| | killed | killed, then the last written files damaged |",
        "|---|---:|---:|",
    ]
    rows = {
        "kills that hit a run at work": [tally.hits.total() for tally in (killed, power)],
        **{
            f"of these: {what}": [tally.hits[key] for tally in (killed, power)]
            for key, what in (
                ("parent", "the parent alone"),
                ("child", "the training child alone"),
                ("group", "parent and child at once"),
                ("at a file operation", "the process itself, at a file operation"),
            )
        },
        "kills that missed (the run had ended)": [tally.missed for tally in (killed, power)],
        "runs, each brought to its end and compared": [tally.lives for tally in (killed, power)],
        "resumes": [tally.resumes for tally in (killed, power)],
        "files damaged": [tally.damaged for tally in (killed, power)],
        "lost (finished work done again without cause, or a run that could not be ended)": [
            tally.lost for tally in (killed, power)
        ],
        "corrupted (files that differ from the undisturbed run, or were left half written)": [
            tally.corrupted for tally in (killed, power)
        ],
        "processes that went on after the kill": [tally.orphans for tally in (killed, power)],
    }
    lines += [f"| {name} | {first} | {second} |" for name, (first, second) in rows.items()]
    hit = f"Where the {killed.hits.total()} kills of the first column hit: {_places(killed.places)}."
    return "\n".join([*lines, "", hit, "", disk])


def _places(places: Counter[str]) -> str:
    return ", ".join(f"{place} {count}" for place, count in sorted(places.items()))


if __name__ == "__main__":
    sys.exit(main())
