"""A study against the world: folders, weights, extras, the training library; and its parts against each other.

Nothing is written, and no library that runs networks is imported.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from pathlib import Path

from wreckognize.catalog import ROLES, SPLITS
from wreckognize.errors import MissingExtraError, WeightsError
from wreckognize.settings import (
    CocoSource,
    ScaleSettings,
    Source,
    SystemAsTeacher,
    SystemSettings,
    TeacherSettings,
    YoloSource,
)
from wreckognize.study.build import Draft
from wreckognize.study.engines import check_engine, check_graph
from wreckognize.study.paths import holds_files, is_glob, matches
from wreckognize.study.problems import Problems, show
from wreckognize.study.reader import Key
from wreckognize.study.training import missing_modules
from wreckognize.study.weights import KINDS_IN_WORDS, resolve_weights
from wreckognize.urls import SCHEMES, scheme_of, url_of
from wreckognize.weightfiles import is_graph

_ADDRESS = re.compile(r"auto|(?!ray:)[^/\s]+:[0-9]{1,5}")


def check_extras(problems: Problems) -> None:
    """Every system and every teacher is a YOLO network, so every study needs the extra ``[yolo]``."""
    missing = missing_modules()
    if missing:
        remedy = 'pip install "wreckognize[yolo]"'
        problems.add((), f"{' and '.join(missing)} not installed", "the extra [yolo]", remedy)


def check(draft: Draft, folder: Path, problems: Problems, trust: Collection[str] = ()) -> None:
    """Everything that concerns more than one part of a study, or its files."""
    check_names(draft.named, "source", problems)
    check_names([(key, system.name) for key, system in draft.systems], "system", problems)
    for key, source in draft.sources:
        check_source(source, key, problems)
    if draft.scale is not None:
        check_scale(draft.scale, problems)
    for key, paths in draft.other_paths:
        _check_paths(paths, key, problems, files=key[-1] == "annotations")
    for key, weights in draft.other_weights:
        _check_weights(weights, key, folder, problems, trust)
    for path in draft.reviews:
        _check_paths([path], ("reviews",), problems, files=True)
    check_split(draft, problems)
    check_weights(draft, folder, problems, trust)
    check_engines(draft, problems)
    for key, system in draft.systems:
        check_limits(system, key, draft.source_names, problems)
    check_teachers(draft.systems, draft.system_names, problems)


def check_names(names: Sequence[tuple[Key, str]], what: str, problems: Problems) -> None:
    """No name twice: names are folders in the run, so case does not tell them apart."""
    seen: set[str] = set()
    for key, name in names:
        again = name.lower() in seen
        seen.add(name.lower())
        if again:
            place = (*key, "name") if what == "source" else key
            problems.add(place, f"a second {what} called {show(name)}", "a name of its own", "rename one of them")


def check_source(source: Source, key: Key, problems: Problems) -> None:
    """Every path and glob of a source stands for something that is not empty."""
    if source.name in ROLES and source.name != source.role:
        problems.add(
            (*key, "name"), f"{show(source.name)}, the name of another role", "a name that is no role", "rename it"
        )
    _check_paths(source.images, (*key, "images"), problems)
    if isinstance(source, CocoSource):
        _check_paths(source.annotations, (*key, "annotations"), problems, files=True)
    labels = getattr(source, "labels", None)
    if isinstance(source, YoloSource) and not labels and any(url_of(path) for path in source.images):
        remedy = "copy the label files to a disk and write `labels: FOLDER`"
        problems.add((*key, "labels"), "none, with photos by URL", "a folder of label files", remedy)
    if labels:
        _check_paths(labels, (*key, "labels"), problems)


def _check_paths(paths: Sequence[Path], key: Key, problems: Problems, *, files: bool = False) -> None:
    wanted = "an annotation file" if files else "a folder that holds files"
    remedy = "check the path; it is relative to the study file"
    for path in paths:
        url = url_of(path)
        if url is not None:
            _check_url(url, key, problems)
            continue
        try:
            found = matches(path)
            if not found:
                problems.add(
                    key, f"no match for {path}" if is_glob(path) else f"no such path: {path}", wanted, remedy
                )
            elif files and any(match.is_dir() for match in found):
                problems.add(key, f"a folder: {path}", wanted, "name the JSON file")
            elif not any(holds_files(match) for match in found):
                problems.add(key, f"an empty {'file' if found[0].is_file() else 'folder'}: {path}", wanted, remedy)
        except (OSError, ValueError) as error:
            problems.add(
                key, f"{path!s}, which cannot be read ({error})", wanted, "check the path and permissions"
            )


def _check_url(url: str, key: Key, problems: Problems) -> None:
    """What a URL says can be told without asking the storage, which the run does first of all."""
    if key[-1] != "images":
        problems.add(key, f"a URL: {url}", "a path", "only photos are read by URL; copy this to a disk")
    elif scheme_of(url) not in SCHEMES:
        problems.unknown(key, scheme_of(url), SCHEMES, "kind of storage")
    elif not url.partition("://")[2].strip("/"):
        problems.add(key, f"a URL without a bucket: {url}", "s3://BUCKET/PREFIX")
    elif find_spec("pyarrow") is None:
        problems.add(key, "pyarrow not installed", "the extra [ray]", 'pip install "wreckognize[ray]"')


def check_scale(scale: ScaleSettings, problems: Problems) -> None:
    """A cluster needs Ray, and an address that can be one."""
    if scale.on == "ray" and find_spec("ray") is None:
        problems.add(("scale", "on"), "ray not installed", "the extra [ray]", 'pip install "wreckognize[ray]"')
    if scale.address is not None and not _ADDRESS.fullmatch(scale.address):
        remedy = "run on a machine of the cluster (one where `ray start` was called) and give its head's HOST:PORT"
        problems.add(("scale", "address"), show(scale.address), "HOST:PORT, or auto", remedy)


def check_split(draft: Draft, problems: Problems) -> None:
    """Every split that is needed can get photos: from a source pinned to it, or as a share of the others."""
    if draft.split is None or len(draft.sources) < len(draft.source_names) or not draft.sources:
        return  # what a broken source would be pinned to is not known
    pins = {source.split for _, source in draft.sources}
    trained = any(system.trained for _, system in draft.systems)
    for name in SPLITS if trained else ("test",):
        if name in pins:
            continue
        if getattr(draft.split, name) == 0:
            found, remedy = "a share of 0", f"raise the share, or give a source `split: {name}`"
        elif None not in pins:
            found, remedy = "every source pinned to another split", f"give a source `split: {name}`, or unpin one"
        else:
            continue
        problems.add(("split", name), found, f"photos for {name}", remedy)


def check_weights(draft: Draft, folder: Path, problems: Problems, trust: Collection[str]) -> None:
    """All weights are there: those of every system, and of every teacher that one of them learns from."""
    common = draft.teacher or TeacherSettings()  # systems were built with the default where the study's is broken
    if draft.teacher is not None and any(
        system.trained and system.teacher == common for _, system in draft.systems
    ):  # a teacher that nobody learns from is never loaded
        _check_weights(draft.teacher.weights, ("teacher", "weights"), folder, problems, trust)
    for key, system in draft.systems:
        check_system_weights(system, key, common, folder, problems, trust)


def check_system_weights(
    system: SystemSettings,
    key: Key,
    common: TeacherSettings | None,
    folder: Path,
    problems: Problems,
    trust: Collection[str],
) -> None:
    """The weights of one system are there, and those of its teacher if that is not the study's (``common``)."""
    if system.trained and is_graph(system.weights):
        problems.add(
            (*key, "weights"),
            f"an ONNX file, which cannot be trained: {system.weights}",
            "a .pt or .safetensors file",
            "give the file that it was exported from, or use `recipe: baseline`",
        )
    else:
        _check_weights(system.weights, (*key, "weights"), folder, problems, trust)
    teacher = system.teacher
    if system.trained and isinstance(teacher, TeacherSettings) and teacher != common:
        _check_weights(teacher.weights, (*key, "teacher", "weights"), folder, problems, trust)


def check_engines(draft: Draft, problems: Problems) -> None:
    """Engines of all systems and all teachers are there."""
    common = draft.teacher or TeacherSettings()
    check_engine(common, ("teacher",), problems)
    check_graph(common.weights, common, common.imgsz, ("teacher",), problems)
    for key, system in draft.systems:
        check_engine(system.predict, (*key, "predict"), problems)
        if not system.trained:
            check_graph(system.weights, system.predict, system.predict_imgsz, (*key, "predict"), problems)
        if isinstance(system.teacher, TeacherSettings) and system.teacher != common:
            check_engine(system.teacher, (*key, "teacher"), problems)
            check_graph(system.teacher.weights, system.teacher, system.teacher.imgsz, (*key, "teacher"), problems)


def _check_weights(text: str, key: Key, folder: Path, problems: Problems, trust: Collection[str]) -> None:
    try:
        resolve_weights(text, folder, trust)
    except WeightsError as error:
        found = f"{error.what}: {error.where}"
        problems.add(key, found, KINDS_IN_WORDS, error.remedy)
    except MissingExtraError as error:
        problems.add(key, error.what, f"the extra [{error.extra}]", error.remedy)


def check_limits(system: SystemSettings, key: Key, sources: Collection[str], problems: Problems) -> None:
    """Limits name roles or sources."""
    known = {*ROLES, *sources}
    for name in system.limits:
        if name not in known:
            problems.unknown((*key, "limits", name), name, known, "role or source")


def check_teachers(
    systems: Sequence[tuple[Key, SystemSettings]], names: Collection[str], problems: Problems
) -> None:
    """Systems that teach are in the study and do not wait for each other."""
    for key, system in systems:
        if isinstance(system.teacher, SystemAsTeacher) and system.teacher.system not in names:
            problems.unknown((*key, "teacher", "system"), system.teacher.system, names, "system")
    _, circle = teaching_order([system for _, system in systems])
    if circle:
        problems.add(
            ("systems", circle[0], "teacher", "system"),
            f"systems that wait for each other: {', '.join(circle)}",
            "teachers that can be trained first",
            "give one of them another teacher",
        )


def teaching_order(systems: Sequence[SystemSettings]) -> tuple[tuple[SystemSettings, ...], tuple[str, ...]]:
    """Systems with every teacher before those it teaches, otherwise in the order given.

    Returns:
        The systems in that order, and the names of the first circle of systems that wait for each other (such a
        circle is broken at the system met first); empty where there is none.
    """
    by_name = {system.name: system for system in systems}
    ordered: dict[str, SystemSettings] = {}
    circle: tuple[str, ...] = ()
    for name in by_name:
        chain: list[str] = []
        link: str | None = name
        while link in by_name and link not in ordered:
            if link in chain:
                circle = circle or tuple(chain[chain.index(link) :])
                break
            chain.append(link)
            teacher = by_name[link].teacher
            link = teacher.system if isinstance(teacher, SystemAsTeacher) else None
        ordered |= {link: by_name[link] for link in reversed(chain)}
    return tuple(ordered.values()), circle
