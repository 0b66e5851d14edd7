"""Names that lead elsewhere, links that lead out or round, and things under a photo's name that are no files."""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from wreckognize.collect.walk import expand
from wreckognize.errors import InputError, UsageError
from wreckognize.images import decode, read_header, verify
from wreckognize.predicting.photos import expand as predict_expand
from wreckognize.reading import read_regular
from wreckognize.study.paths import matches

pytestmark = pytest.mark.usefixtures("in_time")


@pytest.fixture
def secret(tmp_path_factory, trap) -> Path:
    """A photo outside of every source: to be used by none."""
    file = tmp_path_factory.mktemp("elsewhere") / "secret.jpg"
    file.write_bytes((trap.images / "good.jpg").read_bytes())
    return file


@pytest.mark.parametrize("spelling", ["{}", "../{}", "x/../../{}", "file://{}", "./../{}", "..\\{}", "{}\0.jpg"])
def test_no_file_name_of_an_annotation_reaches_out_of_the_folder(trap, collect_one, secret, spelling):
    for name in (str(secret), os.path.relpath(secret, trap.images)):
        content = {
            "images": [{"id": 1, "file_name": "good.jpg"}, {"id": 2, "file_name": spelling.format(name)}],
            "annotations": [{"image_id": n, "category_id": 1, "bbox": [1, 1, 50, 40]} for n in (1, 2)],
            "categories": [{"id": 1, "name": "car"}],
        }
        (trap.root / "instances.json").write_text(json.dumps(content))
        used, reasons, _ = collect_one(trap.coco())
        assert used == ["good.jpg"]
        assert len(reasons) == 1
        assert set(reasons.values()) <= {"file name leads out of the folder", "label without photo"}


def test_the_file_name_within_an_aihub_label_is_never_opened(trap, collect_one, secret):
    label = json.loads((trap.labels / "good.json").read_text())
    label["images"]["file_name"] = str(secret)
    (trap.labels / "good.json").write_text(json.dumps(label))
    assert collect_one(trap.aihub())[0] == ["good.jpg"]


@pytest.mark.parametrize("kind", ["folder", "aihub", "yolo"])
def test_links_out_of_the_tree_are_quarantined_for_photos_and_labels_alike(trap, collect_one, secret, kind):
    (trap.images / "out.jpg").symlink_to(secret)
    (trap.images / "relative.jpg").symlink_to(os.path.relpath(secret, trap.images))
    (trap.images / "twice.jpg").symlink_to("relative.jpg")
    for name in ("out", "relative", "twice"):
        for ending in ("json", "txt"):
            (trap.labels / f"{name}.{ending}").write_bytes((trap.labels / f"good.{ending}").read_bytes())
    used, reasons, _ = collect_one(getattr(trap, kind)())
    assert used == ["good.jpg"]
    assert {name for name in reasons if name.endswith(".jpg")} == {"out.jpg", "relative.jpg", "twice.jpg"}
    assert reasons["out.jpg"] == "link leads out of the source's folders"
    used, reasons, _ = collect_one(getattr(trap, kind)(follow_links=True))
    assert (used, reasons) == (["good.jpg", "out.jpg", "relative.jpg", "twice.jpg"], {})


def test_a_label_that_is_a_link_out_of_the_tree_is_not_read(trap, collect_one, tmp_path_factory):
    outside = tmp_path_factory.mktemp("elsewhere") / "label.json"
    outside.write_bytes((trap.labels / "good.json").read_bytes())
    trap.good("b")
    (trap.labels / "b.json").unlink()
    (trap.labels / "b.json").symlink_to(outside)
    used, reasons, _ = collect_one(trap.aihub())
    assert used == ["good.jpg"]
    assert reasons == {"b.json": "link leads out of the source's folders", "b.jpg": "photo without label"}


def loops(folder: Path) -> None:
    """Two links back: 2^40 ways down for whoever follows them."""
    for name in ("again", "oncemore"):
        (folder / name).symlink_to(folder)
    (folder / "self.jpg").symlink_to("self.jpg")


def test_loops_of_folders_end(trap, collect_one):
    loops(trap.images)
    used, reasons, not_wanted = collect_one(trap.folder())
    assert used == ["good.jpg"]
    assert not_wanted == {"link to a folder": 2}
    assert list(reasons) == ["self.jpg"]


def test_patterns_do_not_follow_loops(trap, monkeypatch):
    loops(trap.images)
    for pattern in ("**/*.jpg", "**/**/good.jpg", "images/**"):
        assert trap.images / "good.jpg" in matches(trap.root / pattern) or pattern == "images/**"
        assert expand([trap.root / pattern], "images")
    monkeypatch.chdir(trap.root)
    found = [str(path) for path in predict_expand(["**/*.jpg"])]
    assert found == ["images/good.jpg", "images/self.jpg"]
    assert [Path(path).name for path in predict_expand([str(trap.images)])] == ["good.jpg", "self.jpg"]


def test_hidden_files_fit_only_a_pattern_that_asks_for_them(tmp_path):
    for name in ("a.jpg", ".b.jpg", ".git/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in matches(tmp_path / "**" / "*.jpg")] == ["a.jpg"]
    assert [path.name for path in matches(tmp_path / ".*.jpg")] == [".b.jpg"]
    assert [path.name for path in matches(tmp_path / ".git" / "*")] == ["c.jpg"]


@pytest.fixture
def odd_things(trap) -> dict[str, Path]:
    """A pipe, a socket, a folder, links to devices and a pipe, all named as photos and labels are."""
    made = {}
    for folder, ending in ((trap.images, "jpg"), (trap.labels, "json"), (trap.labels, "txt")):
        pipe = folder / f"pipe.{ending}"
        os.mkfifo(pipe)
        with socket.socket(socket.AF_UNIX) as server:
            here = Path.cwd()
            os.chdir(folder)  # a socket's path may have 107 bytes
            try:
                server.bind(f"socket.{ending}")
            finally:
                os.chdir(here)
        (folder / f"folder.{ending}").mkdir()
        (folder / f"zero.{ending}").symlink_to("/dev/zero")
        (folder / f"tolink.{ending}").symlink_to(pipe)
        with suppress(PermissionError):  # only root makes devices
            os.mknod(folder / f"device.{ending}", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        made[ending] = folder
    return made


@pytest.mark.parametrize("kind", ["folder", "aihub", "yolo"])
def test_pipes_sockets_and_devices_are_not_wanted_and_never_waited_for(trap, odd_things, collect_one, kind):
    del odd_things
    used, reasons, not_wanted = collect_one(getattr(trap, kind)())
    assert used == ["good.jpg"]
    assert reasons == {}
    assert not_wanted["neither file nor folder"] >= 4


def test_whoever_is_handed_one_by_name_refuses_it(odd_things):
    for thing in sorted(odd_things["jpg"].iterdir()):
        if thing.name == "good.jpg":
            continue
        for look in (read_header, verify, decode):
            with pytest.raises(InputError, match="not a regular file"):
                look(thing)
        with pytest.raises(OSError, match=r"not a regular file|Is a directory|No such device"):
            read_regular(thing, 10)


def test_a_pipe_in_place_of_an_annotation_file_is_wrong_use(trap, collect_one):
    os.mkfifo(trap.root / "instances.json")
    with pytest.raises(UsageError, match="not a file"):
        collect_one(trap.coco())
