"""Fuzzes readers with atheris (libFuzzer, guided by coverage) for as long as one likes: ``make fuzz FUZZ_SECONDS=600``.

Each target (`targets.py`) runs in a process of its own, from the corpus in this folder; what it finds interesting is
kept under ``runs/fuzz/TARGET``. The first defect of a target ends it and is written there as ``crash-...``,
``timeout-...`` or ``oom-...``; put such a file into the corpus, so that `test_readers.py` sees it from then on.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "runs" / "fuzz"
SLOWEST, MEGABYTES = 20, 4096


def fuzz(name: str, seconds: int) -> None:
    """This process fuzzes one target; does not return."""
    import atheris

    with atheris.instrument_imports(include=["wreckognize", "yaml", "python_multipart"]):
        sys.path.insert(0, str(HERE.parent))
        from fuzz.target import CORPUS
        from fuzz.targets import TARGETS

    target = TARGETS[name]
    folder = OUT / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-artifact_prefix={folder}/",
        "-max_len=20000",
        "-print_final_stats=1",
        str(folder / "corpus"),
        str(CORPUS / target.kind),
    ]
    atheris.Setup([sys.argv[0], *options], lambda data: target(data))
    atheris.Fuzz()


def main() -> None:
    """Fuzz the targets that are named, or all, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="names in targets.py; default: all")
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--here", action="store_true", help="fuzz the one target in this process")
    asked = parser.parse_args()
    if asked.here:
        fuzz(asked.targets[0], asked.seconds)  # before anything is imported that it is to follow
    sys.path.insert(0, str(HERE.parent))
    from fuzz.targets import TARGETS

    failed = []
    for name in asked.targets or TARGETS:
        OUT.mkdir(parents=True, exist_ok=True)
        log = OUT / f"{name}.log"
        command = [sys.executable, __file__, name, "--here", "--seconds", str(asked.seconds)]
        with log.open("wb") as stream:
            code = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
        said = log.read_text(encoding="utf-8", errors="replace")
        runs = re.findall(r"stat::number_of_executed_units:\s+(\d+)", said)
        told = f"a defect, see {log}" if code else "no defect"
        print(f"{name}: {int(runs[-1]) if runs else 0:,} executions, {told}", flush=True)
        failed += [name] * bool(code)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
