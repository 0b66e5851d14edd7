"""Run every row of the recipe table with its own architecture and size: ``make recipes``.

The published weights may not be at hand, so each system starts from its architecture with random weights
(``yolov8x.yaml``, ``yolov8m.yaml``), for one epoch, on a few drawn photos. The figures say nothing; that each recipe
runs with its image size, batch, frozen layers and optimizer is what is shown. About a quarter of an hour and
24 GB of memory on two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from wreckognize.cli.console import Console
from wreckognize.cli.tables import print_comparison
from wreckognize.demo.collection import make
from wreckognize.recipes import RECIPES, load_recipe
from wreckognize.study import Study


def main() -> None:
    """Draw photos, run all recipes on them and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--only", action="append", default=[], metavar="RECIPE", help="default: all")
    arguments = parser.parse_args()
    photos = make(arguments.out.with_name(arguments.out.name + "-photos"), scale=0.1, progress=Console()).folder
    study = Study.from_mapping(study_of(arguments.only or RECIPES), photos)
    result = study.run(out=arguments.out, progress=Console())
    print_comparison(result.comparison, result.findings)


def study_of(recipes: list[str] | tuple[str, ...]) -> dict[str, object]:
    """A study with a system of random weights for each recipe, on 20 photos to train and 6 to test."""
    demo = yaml.safe_load(
        (Path(__file__).parents[2] / "src/wreckognize/demo/study.yaml").read_text(encoding="utf-8")
    )
    wanted = {"claims": 10, "street": 6, "scrapyard": 10}
    sources = [
        source
        | {"limit": wanted[source["name"]], "max_failed": 0.5}  # the demo spoils two of its photos on purpose
        for source in demo["sources"]
        if source["name"] in wanted
    ]
    systems = {}
    for name in recipes:
        recipe = load_recipe(name)
        architecture = Path(recipe.weights).with_suffix(".yaml").name
        systems[name] = {"recipe": name, "weights": architecture} | (
            {"train": {"epochs": 1}} if recipe.trained else {}
        )
    return {
        "study": "recipes",
        "sources": sources,
        "split": {"train": 0.62, "val": 0.15, "test": 0.23},
        "teacher": {"weights": "starter", "imgsz": 192},
        "systems": systems,
    }


if __name__ == "__main__":
    main()
