"""The published weights that can be fetched, each by its size and the sha256 of its bytes.

How the hashes were established. None was computed by us: where this was written, no file of the release could be had.
They are what unrelated public repositories wrote down of these files of the releases v8.3.0 and v8.4.0 of
ultralytics/assets: scripts that check their own download, reports of runs, and git-lfs pointers, which hold the hash
and the size of a repository's own copy. Searched for in November 2026 by the hash, at most ten files shown for each;
each hash stands in files of at least two projects that share nothing else, and nowhere was another one given for v8.3.0
or v8.4.0:

    yolov8n  10 files or more; one names v8.4.0, one gives the size
    yolov8s  10 files or more; four name v8.3.0 or v8.4.0, three give the size
    yolov8m  10 files or more; one names v8.3.0, one gives the size
    yolov8l   4 files of two projects, one with the size, and the git-lfs pointer of Horizonll/YOLO
    yolov8x   9 files; one names v8.3.0, five give the size
    yolo11n  10 files or more; two name v8.3.0, four give the size
    yolo11s  10 files or more; two name v8.3.0 or v8.4.0, two give the size, and the git-lfs pointer of Horizonll/YOLO
    yolo11m  10 files or more; three name v8.3.0 or v8.4.0, four give the size
    yolo11l  10 files or more; two name v8.3.0, two give the size, and the git-lfs pointer of Horizonll/YOLO
    yolo11x  10 files or more; three name v8.3.0, three give the size

A wrong pin does no harm but one: the download is refused.

Files of the same names from older releases (v0.0.0 to v8.1.0: yolov8x.pt with 136,867,539 bytes, c4d5a3f0...) hold the
same networks in other bytes. They are not fetched, but a study takes them, as it takes any file.
"""

from __future__ import annotations

from dataclasses import dataclass

RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0/"
"""Where the official files lie."""


@dataclass(frozen=True, slots=True)
class Pin:
    """What a file must be.

    Attributes:
        file: its name.
        size: in bytes.
        sha256: of all its bytes, in hexadecimal.
    """

    file: str
    size: int
    sha256: str


_PINNED = (
    Pin("yolov8n.pt", 6_549_796, "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36"),
    Pin("yolov8s.pt", 22_588_772, "1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a"),
    Pin("yolov8m.pt", 52_136_884, "5d4a90cdc7a21786cc59cd19778e9eafff836df9e2da32524737c7ee6efe4fe5"),
    Pin("yolov8l.pt", 87_792_836, "64c9115303f6a25575f82200d1b22ec409fa6bd7d08d0313884fc20d919478cd"),
    Pin("yolov8x.pt", 136_890_692, "3df4ada6b4dad6d657868f2fdf7faecfb34dcfccf3a25c4b82079064718524c8"),
    Pin("yolo11n.pt", 5_613_764, "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1"),
    Pin("yolo11s.pt", 19_313_732, "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5"),
    Pin("yolo11m.pt", 40_684_120, "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95"),
    Pin("yolo11l.pt", 51_387_343, "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f"),
    Pin("yolo11x.pt", 114_636_239, "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24"),
)

PINS = {pin.file.removesuffix(".pt"): pin for pin in _PINNED}
"""By the name one asks for, such as ``yolov8x``."""

FILES = frozenset(pin.file for pin in _PINNED)
"""Names of the files."""
