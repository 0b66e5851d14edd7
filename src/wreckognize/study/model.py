"""The study: what a study file says, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from wreckognize.errors import Problem, StudyError
from wreckognize.recipes import load_recipe
from wreckognize.settings import (
    EvidenceSettings,
    GroupSettings,
    ScaleSettings,
    SearchSettings,
    Source,
    SplitSettings,
    SystemSettings,
    TeacherSettings,
)
from wreckognize.study.build import Draft, build
from wreckognize.study.checks import check, check_extras, teaching_order
from wreckognize.study.overrides import apply_overrides
from wreckognize.study.problems import Problems, show
from wreckognize.study.reader import dump, plain, read_document
from wreckognize.study.space import read_search, system_with
from wreckognize.weightfiles import TRUST

if TYPE_CHECKING:
    from wreckognize.pipeline import RunResult, Until
    from wreckognize.progress import Progress

_TRUST_IN_WORDS = (
    "sha256: and 64 hexadecimal digits in lower case",
    "take it from the message that refused the file, once you know who made it",
)


@dataclass(frozen=True)
class Study:
    """One study, whole: recipes merged in, paths absolute, everything checked.

    Attributes:
        study: its name.
        seed: of everything random in it.
        sources: where photos come from, in file order.
        split: shares of train, val and test.
        groups: when two photos are nearly the same.
        evidence: how figures are judged.
        scale: where photos are looked at, and how object storage is spoken to.
        trust: ``sha256:...`` of pickle checkpoints that may be opened whatever they hold, as after ``--trust``. Whoever
            runs a study says so, never the study file, which may come with the checkpoint.
        reviews: files with the boxes that people drew in a review.
        teacher: labels whole vehicles for the systems that name no other.
        systems: the rows of the comparison, in file order.
        notice: what every reader of the report must know first; may be empty.
        search: for the best settings of one system, as the study file says; None if it says nothing. Not part of what a
            run depends on.
        file: the study file; ``None`` if it was made from Python.
        content: the values of the study file, ``--set`` included, as they were given.
        folder: what relative paths in them start from.
    """

    study: str
    seed: int
    sources: tuple[Source, ...]
    split: SplitSettings
    teacher: TeacherSettings
    systems: tuple[SystemSettings, ...]
    notice: str = ""
    groups: GroupSettings = field(default_factory=GroupSettings)
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    scale: ScaleSettings = field(default_factory=ScaleSettings)
    trust: tuple[str, ...] = field(default=(), compare=False)
    reviews: tuple[Path, ...] = ()
    search: SearchSettings | None = field(default=None, compare=False)
    file: Path | None = field(default=None, compare=False)
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    folder: Path = field(default_factory=Path, compare=False, repr=False)

    @classmethod
    def load(cls, path: str | Path, *, overrides: Sequence[str] = (), trust: Sequence[str] = ()) -> Self:
        """Read and check a study file.

        Args:
            path: the file; paths in it are relative to its folder.
            overrides: ``key=value`` texts as after ``--set``, e.g. ``systems.ver5.train.epochs=5``.
            trust: see `Study`.

        Raises:
            StudyError: with all problems at once. Nothing was written.
        """
        path = Path(path)
        document = read_document(path)
        problems = Problems(str(path), document.lines, found=list(document.problems))
        folder = path.absolute().parent
        return cls._make(document.content, folder, path.absolute(), overrides, problems, trust)

    @classmethod
    def recorded(cls, path: str | Path) -> Self:
        """The study that a run recorded (``RUN/study.yaml``), though its photos and weights may be gone by now.

        Raises:
            StudyError: it is not as a run of this version writes it.
        """
        path = Path(path)
        document = read_document(path)
        problems = Problems(str(path), document.lines, found=list(document.problems))
        folder = path.absolute().parent
        return cls._of(
            build(document.content, folder, problems), document.content, folder, path.absolute(), problems
        )

    @classmethod
    def from_mapping(
        cls,
        mapping: Mapping[str, Any],
        folder: str | Path = ".",
        *,
        overrides: Sequence[str] = (),
        trust: Sequence[str] = (),
    ) -> Self:
        """As `load`, from the values a study file would hold; ``folder`` is what relative paths start from.

        Raises:
            StudyError: with all problems at once.
        """
        problems = Problems("study")
        return cls._make(plain(mapping, "study"), Path(folder).absolute(), None, overrides, problems, trust)

    @classmethod
    def _make(
        cls,
        content: dict[str, Any],
        folder: Path,
        file: Path | None,
        overrides: Sequence[str],
        problems: Problems,
        trust: Sequence[str],
    ) -> Self:
        wrong = [text for text in trust if not TRUST.fullmatch(text)]
        problems.found.extend(Problem("--trust", "", show(text), *_TRUST_IN_WORDS) for text in wrong)
        check_extras(problems)
        apply_overrides(content, overrides, problems)
        draft = build(content, folder, problems)
        check(draft, folder, problems, trust)
        return cls._of(draft, content, folder, file, problems, trust)

    @classmethod
    def _of(
        cls,
        draft: Draft,
        content: dict[str, Any],
        folder: Path,
        file: Path | None,
        problems: Problems,
        trust: Sequence[str] = (),
    ) -> Self:
        systems = {system.name: system for _, system in draft.systems}
        search = read_search(content, folder, systems, problems, trust)
        if (
            problems.found
            or draft.head is None
            or draft.split is None
            or draft.teacher is None
            or draft.groups is None
            or draft.evidence is None
            or draft.scale is None
        ):
            raise StudyError(problems.found)
        return cls(
            study=draft.head.study,
            seed=draft.head.seed,
            sources=tuple(source for _, source in draft.sources),
            split=draft.split,
            teacher=draft.teacher,
            systems=tuple(system for _, system in draft.systems),
            notice=draft.head.notice,
            groups=draft.groups,
            evidence=draft.evidence,
            scale=draft.scale,
            trust=tuple(trust),
            reviews=draft.reviews,
            search=search,
            file=file,
            content=content,
            folder=folder,
        )

    def search_settings(self) -> SearchSettings:
        """The study's search; the default one for the last system that is trained where the study has none.

        Raises:
            StudyError: no system is trained.
        """
        if self.search is not None:
            return self.search
        problems = Problems(str(self.file or "study"))
        systems = {system.name: system for system in self.systems}
        search = read_search({**self.content, "search": {}}, self.folder, systems, problems, self.trust)
        if search is None:
            raise StudyError(problems.found)
        return search

    def system_with(self, name: str, values: Mapping[str, Any]) -> SystemSettings:
        """A system of this study with other values in some fields (``{"train.lr0": 1e-3}``).

        Raises:
            StudyError: the values do not fit, alone or together.
        """
        problems = Problems(str(self.file or "study"))
        system = system_with(self.content, self.folder, name, values, problems, self.trust)
        if system is None or problems.found:
            raise StudyError(problems.found)
        return system

    def resolved(self) -> str:
        """The study as YAML with nothing left to defaults, recipes or the working folder; without its search.

        Loading it gives an equal study.
        """
        return dump(
            {
                "study": self.study,
                "seed": self.seed,
                "notice": self.notice,
                "sources": [source.model_dump(mode="json", exclude_none=True) for source in self.sources],
                "reviews": [str(path) for path in self.reviews],
                "groups": self.groups.model_dump(mode="json"),
                "split": self.split.model_dump(mode="json"),
                "teacher": self.teacher.model_dump(mode="json"),
                "systems": {system.name: _resolved_system(system) for system in self.systems},
                "evidence": self.evidence.model_dump(mode="json"),
                "scale": self.scale.model_dump(mode="json"),
            }
        )

    def systems_in_order(self) -> tuple[SystemSettings, ...]:
        """The systems with every teacher before those it teaches, otherwise in file order."""
        return teaching_order(self.systems)[0]

    def system(self, name: str) -> SystemSettings:
        """The system of this name.

        Raises:
            KeyError: there is none.
        """
        for system in self.systems:
            if system.name == name:
                return system
        raise KeyError(name)

    def run(
        self,
        *,
        out: str | Path | None = None,
        until: Until = "report",
        only: Sequence[str] = (),
        unlock: str | None = None,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run the study; see `wreckognize.pipeline.run`."""
        from wreckognize.pipeline import run

        return run(self, out=out, until=until, only=only, unlock=unlock, progress=progress)


def _resolved_system(system: SystemSettings) -> dict[str, Any]:
    values = system.model_dump(mode="json", exclude={"name", "trained"})
    if not system.trained:
        return {key: value for key, value in values.items() if key not in ("labels", "limits", "train")}
    dropped = dict.fromkeys(load_recipe(system.recipe).limits.keys() - system.limits.keys())
    values["limits"] |= {
        name: None for name in sorted(dropped)
    }  # a limit of the recipe that the system does without
    return values
