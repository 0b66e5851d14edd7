"""Plain values to models: each part checked by itself, recipes merged in, paths made absolute.

What cannot be built is noted as a problem and left out, so that everything else is still checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from wreckognize.recipes import RECIPES, Recipe, load_recipe
from wreckognize.settings import (
    NAME,
    AihubSource,
    CocoSource,
    EvidenceSettings,
    FolderSource,
    GroupSettings,
    LabelSettings,
    Name,
    Paths,
    PredictSettings,
    ScaleSettings,
    Source,
    SourceBase,
    SplitSettings,
    SystemAsTeacher,
    SystemSettings,
    TeacherSettings,
    TrainSettings,
    YoloSource,
)
from wreckognize.study.overrides import SECTIONS, names_in
from wreckognize.study.paths import absolute
from wreckognize.study.problems import NAME_IN_WORDS, Problems, show
from wreckognize.study.reader import Key
from wreckognize.study.training import check_train_settings
from wreckognize.study.weights import absolute_weights
from wreckognize.weightfiles import is_graph

_SOURCES: dict[str, type[SourceBase]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in (AihubSource, CocoSource, FolderSource, YoloSource)
}
_SOURCE_PATHS = ("images", "labels", "annotations")
_SYSTEM_SECTIONS = ("teacher", "labels", "limits", "train", "predict")
_SYSTEM_KEYS = ("recipe", "weights", "classes", "merge", *_SYSTEM_SECTIONS)
_TRAINING_SECTIONS = ("labels", "limits", "train")  # of no use to a system that is never trained
_SECTION_MODELS: dict[str, type[LabelSettings] | type[TrainSettings] | type[PredictSettings]] = {
    "labels": LabelSettings,
    "train": TrainSettings,
    "predict": PredictSettings,
}


class _Head(BaseModel):
    study: Name
    seed: int = Field(default=0, strict=True, ge=0, lt=2**31)
    notice: str = Field(default="", max_length=500)


@dataclass(frozen=True, slots=True)
class Draft:
    """The parts of a study that could be built, each with its key.

    Attributes:
        source_names: of all sources, also of those that could not be built.
        system_names: likewise.
        named: every source that has a name, likewise, with its key.
        other_paths: paths of the sources that could not be built.
        other_weights: weights of the systems, and of the teacher, that could not be built.
    """

    head: _Head | None
    sources: tuple[tuple[Key, Source], ...]
    reviews: tuple[Path, ...]
    groups: GroupSettings | None
    split: SplitSettings | None
    teacher: TeacherSettings | None
    systems: tuple[tuple[Key, SystemSettings], ...]
    evidence: EvidenceSettings | None
    scale: ScaleSettings | None
    source_names: frozenset[str]
    system_names: frozenset[str]
    named: tuple[tuple[Key, str], ...]
    other_paths: tuple[tuple[Key, tuple[Path, ...]], ...]
    other_weights: tuple[tuple[Key, str], ...]


def build_system(
    content: Mapping[str, Any], name: str, raw: Any, folder: Path, problems: Problems
) -> SystemSettings | None:
    """One system of a study from other values than its file gives it; the rest of ``content`` is as it stands."""
    builder = _Builder(folder, problems)
    teacher = builder.teacher(builder.section(content, ("teacher",)), ("teacher",))
    return builder.system(name, raw, teacher or TeacherSettings())


def build(content: Mapping[str, Any], folder: Path, problems: Problems) -> Draft:
    """Build what can be built; ``folder`` is what relative paths start from."""
    for name in content:
        if name not in SECTIONS:
            problems.unknown((name,), name, SECTIONS)
    builder = _Builder(folder, problems)
    sources, systems = content.get("sources"), content.get("systems")
    head = problems.validated(_Head, {name: content[name] for name in _Head.model_fields if name in content}, ())
    built_sources = builder.sources(sources)
    groups = problems.validated(GroupSettings, builder.section(content, ("groups",)), ("groups",))
    split = problems.validated(SplitSettings, builder.section(content, ("split",)), ("split",))
    evidence = problems.validated(EvidenceSettings, builder.section(content, ("evidence",)), ("evidence",))
    scale = problems.validated(ScaleSettings, builder.section(content, ("scale",)), ("scale",))
    teacher = builder.teacher(builder.section(content, ("teacher",)), ("teacher",))
    built_systems = builder.systems(systems, teacher or TeacherSettings())
    return Draft(
        head=head,
        sources=built_sources,
        reviews=builder.reviews(content.get("reviews")),
        groups=groups,
        split=split,
        teacher=teacher,
        systems=built_systems,
        evidence=evidence,
        scale=scale,
        source_names=frozenset(names_in(sources)),
        system_names=frozenset(names_in(systems)),
        named=tuple(_named(sources)),
        other_paths=tuple(builder.other_paths(sources, {key for key, _ in built_sources})),
        other_weights=tuple(builder.other_weights(content, teacher, {key for key, _ in built_systems})),
    )


def _named(sources: Any) -> Iterator[tuple[Key, str]]:
    for index, values in enumerate(sources if isinstance(sources, list) else ()):
        if isinstance(values, dict) and isinstance(values.get("name"), str):
            yield ("sources", index), values["name"]


@dataclass(frozen=True, slots=True)
class _Builder:
    folder: Path
    problems: Problems

    def section(self, values: Mapping[str, Any], key: Key) -> dict[str, Any]:
        """The section at the last part of ``key``; a missing or empty one is ``{}``."""
        value = values.get(str(key[-1]))
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.problems.add(key, show(value), "a section of keys")
        return {}

    def reviews(self, raw: Any) -> tuple[Path, ...]:
        """Files of reviewed photos, absolute."""
        given = [raw] if isinstance(raw, str) else raw or []
        if not isinstance(given, list) or not all(isinstance(path, str) and path for path in given):
            self.problems.add(("reviews",), show(raw), "the path of a reviews file, or a list of them")
            return ()
        return tuple(absolute(Path(path), self.folder) for path in given)

    def sources(self, raw: Any) -> tuple[tuple[Key, Source], ...]:
        if not isinstance(raw, list) or not raw:
            example = "e.g. - {name: showroom, type: folder, role: normal, images: photos}"
            self.problems.add(("sources",), show(raw), "a list of at least one source", example)
            return ()
        keyed = [(("sources", index), self.source(values, ("sources", index))) for index, values in enumerate(raw)]
        return tuple((key, source) for key, source in keyed if source is not None)

    def source(self, values: Any, key: Key) -> Any:
        if not isinstance(values, dict):
            self.problems.add(key, show(values), "a source: a section with name, type, role and images")
            return None
        kind = values.get("type")
        if not isinstance(kind, str):
            self.problems.add((*key, "type"), show(kind), f"one of {', '.join(_SOURCES)}")
            return None
        if kind not in _SOURCES:
            self.problems.unknown((*key, "type"), kind, _SOURCES, "type of source")
            return None
        source = self.problems.validated(_SOURCES[kind], values, key)
        if source is None:
            return None
        fields = {name: getattr(source, name, None) for name in _SOURCE_PATHS}
        paths = {
            name: tuple(absolute(path, self.folder) for path in value) for name, value in fields.items() if value
        }
        return source.model_copy(update=paths)

    def other_paths(self, raw: Any, built: set[Key]) -> Iterator[tuple[Key, tuple[Path, ...]]]:
        """The paths of sources that were not built, as far as they are paths, absolute."""
        for index, values in enumerate(raw if isinstance(raw, list) else ()):
            if ("sources", index) in built or not isinstance(values, dict):
                continue
            kind = _SOURCES.get(values["type"]) if isinstance(values.get("type"), str) else None
            known = SourceBase.model_fields if kind is None else kind.model_fields
            for name in _SOURCE_PATHS:
                if values.get(name) is None or name not in known:
                    continue
                try:
                    paths = TypeAdapter[tuple[Path, ...]](Paths).validate_python(values[name])
                except ValidationError:
                    continue  # said already
                yield ("sources", index, name), tuple(absolute(path, self.folder) for path in paths)

    def other_weights(
        self, content: Mapping[str, Any], teacher: TeacherSettings | None, built: set[Key]
    ) -> Iterator[tuple[Key, str]]:
        """The weights named by systems and the teacher that were not built, absolute."""
        sections: dict[Key, Any] = {("teacher",): content.get("teacher") if teacher is None else None}
        systems = content.get("systems")
        for name, values in systems.items() if isinstance(systems, dict) else ():
            if ("systems", name) not in built:
                sections["systems", name] = values
        for key, values in sections.items():
            if isinstance(values, dict) and isinstance(values.get("weights"), str):
                yield (*key, "weights"), absolute_weights(values["weights"], self.folder)

    def teacher(self, raw: Mapping[str, Any], key: Key) -> TeacherSettings | None:
        teacher = self.problems.validated(TeacherSettings, raw, key)
        if teacher is None:
            return None
        weights = absolute_weights(teacher.weights, self.folder)
        return teacher.model_copy(update={"weights": weights, **_engine_of(weights, raw)})

    def systems(self, raw: Any, teacher: TeacherSettings) -> tuple[tuple[Key, SystemSettings], ...]:
        if not isinstance(raw, dict) or not raw:
            self.problems.add(("systems",), show(raw), "at least one system", "e.g. ver5: {recipe: ver5}")
            return ()
        keyed = [(("systems", name), self.system(name, values, teacher)) for name, values in raw.items()]
        return tuple((key, system) for key, system in keyed if system is not None)

    def system(self, name: str, raw: Any, study_teacher: TeacherSettings) -> SystemSettings | None:
        """One system: what it says itself over its recipe, its recipe over the study."""
        key: Key = ("systems", name)
        if not isinstance(raw, dict):
            self.problems.add(
                key, show(raw), "a system: a section with a recipe", f"e.g. {name}: {{recipe: ver5}}"
            )
            return None
        for word in raw:
            if word not in _SYSTEM_KEYS:
                self.problems.unknown((*key, word), word, _SYSTEM_KEYS)
        recipe = self.recipe(raw.get("recipe"), (*key, "recipe"))
        own = {word: self.section(raw, (*key, word)) for word in _SYSTEM_SECTIONS}
        trained = recipe is None or recipe.trained
        if not trained:
            for word in _TRAINING_SECTIONS:
                if own[word]:
                    remedy = f"delete `{word}`, or choose a recipe that trains"
                    none = f"none: {raw['recipe']} is never trained"
                    self.problems.add((*key, word), "settings of training", none, remedy)
                own[word] = {}
        own["train"] = check_train_settings(own["train"], (*key, "train"), self.problems)
        teacher = self.teacher_of(own["teacher"], study_teacher, (*key, "teacher"))
        reading = teacher if isinstance(teacher, TeacherSettings) else study_teacher

        start: dict[str, Any] = {"weights": study_teacher.weights}
        if recipe:
            start = recipe.model_dump(exclude_unset=True)
        merged = {word: start.get(word, {}) | own[word] for word in ("train", "predict")}
        merged["labels"] = _labels(start, own, study_teacher) if trained else {}
        parts = {
            word: self.problems.validated(model, merged[word], (*key, word)) or model()
            for word, model in _SECTION_MODELS.items()
        }
        limits = start.get("limits", {}) | own["limits"]
        if not NAME.fullmatch(name):
            self.problems.add(key, show(name), NAME_IN_WORDS)
        values = {
            "name": name if NAME.fullmatch(name) else "unnamed",
            "recipe": raw["recipe"] if recipe else "",
            "trained": trained,
            "weights": start["weights"],
            "classes": reading.classes,
            "merge": reading.merge,
            **{word: raw[word] for word in ("weights", "classes", "merge") if word in raw},
            "teacher": teacher or study_teacher,
            "limits": {word: count for word, count in limits.items() if count is not None},
            **parts,
        }
        system = self.problems.validated(SystemSettings, values, key)
        if system is None:
            return None
        weights = absolute_weights(system.weights, self.folder)
        engine = {} if trained else _engine_of(weights, merged["predict"])
        predict = system.predict.model_copy(update=engine)
        return system.model_copy(update={"weights": weights, "predict": predict})

    def recipe(self, raw: Any, key: Key) -> Recipe | None:
        if isinstance(raw, str) and raw in RECIPES:
            return load_recipe(raw)
        if isinstance(raw, str):
            self.problems.unknown(key, raw, RECIPES, "recipe")
        else:
            self.problems.add(key, show(raw), f"one of {', '.join(RECIPES)}")
        return None

    def teacher_of(
        self, own: Mapping[str, Any], study: TeacherSettings, key: Key
    ) -> TeacherSettings | SystemAsTeacher | None:
        """A system's own teacher: another system, or the study's with some fields changed."""
        if "system" in own:
            return self.problems.validated(SystemAsTeacher, own, key)
        inherited = study.model_dump(exclude_unset=True)
        if "weights" in own and is_graph(study.weights):
            inherited.pop("engine", None)  # of that graph
        return self.teacher({**inherited, **own}, key) if own else None


def _engine_of(weights: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The one engine that runs an ONNX file, where none was asked for."""
    return {"engine": "onnxruntime"} if is_graph(weights) and "engine" not in given else {}


def _labels(
    start: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]], study_teacher: TeacherSettings
) -> dict[str, Any]:
    """Label settings: the system's, over its teacher's confidence, over the recipe's, over the study's."""
    labels: dict[str, Any] = {}
    if study_teacher.confidence is not None:
        labels["confidence"] = study_teacher.confidence
    labels |= start.get("labels", {})
    if own["teacher"].get("confidence") is not None:
        labels["confidence"] = own["teacher"]["confidence"]
    return {**labels, **own["labels"]}
