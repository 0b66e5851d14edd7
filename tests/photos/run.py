"""Run the seven recipes over real photos: ``make photos``, or with other settings

python tests/photos/run.py --out runs/real-photos --set systems.ver6.train.epochs=2
"""

from __future__ import annotations

import argparse
from pathlib import Path

from real import load

from wreckognize.cli.console import Console
from wreckognize.cli.tables import print_comparison


def main() -> None:
    """Run the study and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/real-photos"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", action="append", default=[], metavar="SYSTEM")
    arguments = parser.parse_args()
    study = load(arguments.out.with_name(arguments.out.name + "-study"), arguments.overrides)
    result = study.run(out=arguments.out, only=arguments.only, progress=Console())
    print_comparison(result.comparison, result.findings)
    print(f"report: {result.page}")


if __name__ == "__main__":
    main()
