"""That no module writes a file by itself where a kill or a loss of power could leave half of it to be read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import wreckognize

SOURCES = Path(wreckognize.__file__).parent
WRITERS = {
    "write_text", "write_bytes", "write_parquet", "write_csv", "sink_parquet", "sink_csv", "savefig", "imwrite",
    "save_file", "save_model", "copyfile", "copy2", "copytree", "tofile", "touch",
}  # fmt: skip
INTO_MEMORY = {"", "buffer"}  # what these are called with where they write no file

KNOWN = {
    "files.py": "here whole files are made",
    "demo/collection.py": "within atomic_folder",
    "demo/starter.py": "made by hand, for the package",
    "detectors/openvino.py": "into a temporary folder; what is kept goes through write_kept",
    "detectors/ultralytics.py": "a font, into the fenced library's own folder, made anew by each process",
    "exporting/bundle.py": "within atomic_folder",
    "exporting/models.py": "within atomic_folder",
    "fetching/download.py": "beside its place, compared with its sha256, synced, renamed",
    "inference/alterations.py": "copies that are thrown away, in a folder that is emptied first",
    "predicting/lines.py": "within atomic_path, and lines on their way to it under the ending of unfinished files",
    "predicting/run.py": "within atomic_path",
    "predicting/unfinished.py": "lines so far, under a name of their own; a torn tail is cut off",
    "review/copies.py": "within atomic_folder",
    "review/places.py": "beside its place, synced, then linked to it, because an earlier answer is never replaced",
    "scale/worker.py": "into a worker's temporary folder",
    "stages/reviewing.py": "within atomic_folder",
    "training/events.py": "the log of progress: a torn line is passed over",
    "training/fine_tune.py": "the log of the training, for people",
    "training/layout.py": "the photos to train on, laid out anew each time",
    "training/state.py": "within atomic_path",
}


def _writes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        first = ast.unparse(node.args[0]) if node.args else ""
        if name in WRITERS and not (name in {"write_parquet", "write_csv", "savefig"} and first in INTO_MEMORY):
            yield ast.unparse(node)
        modes = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if name == "open" and any(len(mode) < 4 and set(mode) & set("wax+") for mode in modes):
            yield ast.unparse(node)


def test_only_known_modules_write_files_by_themselves():
    found = {}
    for file in sorted(SOURCES.rglob("*.py")):
        writes = list(_writes(ast.parse(file.read_text(encoding="utf-8"))))
        if writes:
            found[file.relative_to(SOURCES).as_posix()] = writes
    unknown = {name: writes for name, writes in found.items() if name not in KNOWN}
    assert unknown == {}, "write through wreckognize.files, or say in KNOWN why a half-written file does no harm"
    assert sorted(KNOWN.keys() - found.keys()) == [], "no longer writes: take it out of KNOWN"
