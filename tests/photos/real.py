"""The study over real photos, wherever they are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wreckognize.study import Study

HERE = Path(__file__).parent
_IN_FILE = "../../../shared"


def photo_root() -> Path:
    """``WRECKOGNIZE_PHOTOS``, else the folder ``shared`` beside the checkout."""
    return Path(os.environ.get("WRECKOGNIZE_PHOTOS") or HERE / _IN_FILE).resolve()


def load(folder: Path, overrides: Sequence[str] = ()) -> Study:
    """Load the study with the photos' real place in it; ``folder`` is for the file that says so.

    Raises:
        SystemExit: the photos are not at hand.
    """
    root = photo_root()
    if not (root / "data").is_dir():
        raise SystemExit(
            f"no photos below {root}; name their folder with WRECKOGNIZE_PHOTOS (see docs/results.md)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "real-photos.yaml"
    text = (HERE / "study.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace(_IN_FILE, root.as_posix()), encoding="utf-8")
    return Study.load(file, overrides=overrides)
