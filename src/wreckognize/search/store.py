"""Where trials are kept and what is tried next: Optuna, and nothing else here knows it.

Trials are drawn by TPE (Bergstra et al. 2011, *NeurIPS*; in its multivariate form), the first `STARTUP` at random. What
is drawn depends only on the seed, the place in the sequence and the trials that came to their end, so that a search
that was killed goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from wreckognize.errors import UsageError, WriteError
from wreckognize.search.records import Outcome, Trial
from wreckognize.search.space import Drawn, used, values_of
from wreckognize.settings import Dimension

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STARTUP = 8
"""Trials drawn at random before those that came to their end say where to look."""

BEFORE_PRUNING = 5
"""Trials that must have come to their end before one is ended early."""

FEWEST_FOR_IMPORTANCE = 8
LOCK_SECONDS = 60.0
_OUTCOMES: Mapping[TrialState, Outcome] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "interrupted",  # unless it says what it was itself
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


_FAILURES = (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError)
_FULL = "disk is full"  # as SQLite and PostgreSQL have it


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial to be made now.

    Attributes:
        number: its own.
        origin: the trial it goes on with, or its own number.
        values: what to try, by field.
    """

    number: int
    origin: int
    values: Mapping[str, Any]


class _Sampler(optuna.samplers.BaseSampler):
    """TPE, made anew for each trial from the seed and the trial's place in the sequence."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def _tpe(self, study: Study, trial: FrozenTrial, name: str = "") -> optuna.samplers.TPESampler:
        earlier = study.get_trials(deepcopy=False)[: trial.number]
        place = sum("origin" not in other.user_attrs for other in earlier)
        digest = hashlib.sha256(f"{self._seed}:search:{place}:{name}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big")
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=STARTUP)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._tpe(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        tpe = self._tpe(study, trial, param_name)
        return tpe.sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def _failures_told(where: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as error:
        said = _cause(error)
        if _FULL in said:
            raise _no_room(said, where) from error
        raise UsageError(
            f"the storage of the search failed ({said})",
            where=where,
            remedy="see that the database runs and can be written to; the same command goes on where it stood",
        ) from error


def _no_room(said: str, where: str) -> WriteError:
    return WriteError(
        f"the trials cannot be written down ({said})",
        where=where,
        remedy="make room on the disk; the same command goes on where it stood",
    )


def _cause(error: BaseException) -> str:
    """What the database itself said: Optuna's own sentence only guesses at it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).splitlines()[0]


class Store:
    """The trials of one search, shared by all processes that opened it with the same name."""

    def __init__(self, study: Study, storage: optuna.storages.RDBStorage, space: tuple[Dimension, ...]) -> None:
        self._study, self._storage, self._space = study, storage, space
        self._distributions = {dimension.field: _distribution(dimension) for dimension in space}
        self._asked: dict[int, optuna.Trial] = {}

    @contextmanager
    def failures_told(self) -> Iterator[None]:
        """Within the block, a storage that fails is a `UsageError` that says so, a full disk a `WriteError`."""
        with _failures_told(self._storage.engine.url.render_as_string(hide_password=True)):
            yield

    def begin_with(self, drawn: Mapping[str, Drawn]) -> None:
        """Let the first trial be this one, unless the search has begun."""
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(dict(drawn), user_attrs={"as_it_stands": True})

    def ask(self, folder: str) -> Asked:
        """Begin the next trial: one that is to be gone on with, else a new one.

        Args:
            folder: names the run's folder it is made in, so that only who can see it judges whether it still runs.
        """
        trial = self._study.ask(self._distributions)
        self._asked[trial.number] = trial
        trial.set_user_attr("folder", folder)
        origin = int(trial.user_attrs.get("origin", trial.number))
        return Asked(trial.number, origin, values_of(self._space, trial.params))

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Note the figure after an epoch; whether the trial should end here."""
        trial = self._asked[number]
        trial.report(value, epoch)
        return trial.should_prune()

    def complete(self, number: int, value: float, **facts: Any) -> None:
        """The trial came to its end; ``facts`` are figures, seconds, epochs_run, same_as."""
        self._end(number, facts, values=value)

    def prune(self, number: int, reason: str, **facts: Any) -> None:
        """The trial was ended early."""
        self._end(number, {"reason": reason, **facts}, state=TrialState.PRUNED)

    def fail(self, number: int, reason: str, outcome: Outcome = "failed") -> None:
        """The trial came to nothing, which costs only itself."""
        self._end(number, {"reason": reason, "outcome": outcome}, state=TrialState.FAIL)

    def _end(self, number: int, facts: Mapping[str, Any], **ending: Any) -> None:
        trial = self._asked.pop(number)
        for name, fact in facts.items():
            if fact is not None:
                trial.set_user_attr(name, fact)
        self._study.tell(trial, **ending)

    def running_in(self, folder: str) -> list[tuple[int, int]]:
        """Trials that were begun in this folder and have not ended: number and origin."""
        return [
            (trial.number, int(trial.user_attrs.get("origin", trial.number)))
            for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if trial.user_attrs.get("folder") == folder and trial.number not in self._asked
        ]

    def interrupted(self, number: int) -> bool:
        """Note that the process of a running trial is gone, and put it first among those to come.

        Returns:
            Whether it was running until now.
        """
        trial = self._study.get_trials(deepcopy=False)[number]
        if trial.state is not TrialState.RUNNING:
            return False
        self._asked.pop(number, None)
        self._study.tell(number, state=TrialState.FAIL)
        facts = {"origin": int(trial.user_attrs.get("origin", number))}
        if trial.user_attrs.get("as_it_stands"):
            facts["as_it_stands"] = True
        self._study.enqueue_trial(trial.params, user_attrs=facts)
        return True

    def has_ended(self, number: int) -> bool:
        """Whether a trial of this process came to an end of its own, well or not."""
        return self.trials()[number].outcome not in ("running", "interrupted")

    def trials(self) -> list[Trial]:
        """All trials, in the order they began."""
        return [self._trial(trial) for trial in self._study.get_trials(deepcopy=False)]

    def _trial(self, trial: FrozenTrial) -> Trial:
        facts = trial.user_attrs
        drawn = trial.params or trial.system_attrs.get("fixed_params", {})
        complete = trial.state is TrialState.COMPLETE
        return Trial(
            number=trial.number,
            outcome=facts.get("outcome", _OUTCOMES[trial.state]),
            values={
                dimension.field: used(dimension, drawn[dimension.field])
                for dimension in self._space
                if dimension.field in drawn
            },
            value=trial.value if complete else None,
            figures=facts.get("figures", {}),
            curve=dict(sorted(trial.intermediate_values.items())),
            reason=facts.get("reason", ""),
            seconds=facts.get("seconds"),
            epochs_run=facts.get("epochs_run"),
            same_as=facts.get("same_as"),
            origin=facts.get("origin"),
            as_it_stands=facts.get("as_it_stands", False),
        )

    def others(self, prefix: str) -> list[tuple[int, tuple[str, ...]]]:
        """Other searches in this storage whose names begin so: how many trials each has, and in what it differs."""
        found = []
        identity = self._study.user_attrs["identity"]
        for summary in optuna.get_all_study_summaries(self._storage):
            if summary.study_name.startswith(prefix) and summary.study_name != self._study.study_name:
                theirs = summary.user_attrs.get("identity", {})
                differing = tuple(part for part in identity if theirs.get(part) != identity[part])
                found.append((summary.n_trials, differing))
        return found

    def importances(self) -> dict[str, float]:
        """Of each field, the share it has in what sets good trials apart; empty where too few can tell.

        PED-ANOVA (Watanabe, Bansal and Hutter 2023, *IJCAI*): how differently the best tenth of the trials and all of
        them are spread along each field.
        """
        done = [trial.value for trial in self.trials() if trial.outcome == "complete"]
        if len(done) < FEWEST_FOR_IMPORTANCE or len(set(done)) < 2:
            return {}
        return dict(optuna.importance.get_param_importances(self._study))


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        from wreckognize.search.space import label

        return CategoricalDistribution([label(choice) for choice in dimension.choices])
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))
    return FloatDistribution(
        float(low), float(high), log=dimension.log, step=None if step is None else float(step)
    )


def open_store(
    url: str,
    *,
    name: str,
    identity: Mapping[str, str],
    space: tuple[Dimension, ...],
    seed: int,
    pruner: str,
    warmup: int,
) -> Store:
    """Open a search, or begin it.

    Args:
        url: an SQLAlchemy URL; ``sqlite:///FILE`` for a file.
        name: of the search in the storage.
        identity: what must be the same for trials to be comparable, for `Store.others`.
        space: what varies.
        seed: of what is drawn.
        pruner: ``median`` or ``none``.
        warmup: epochs before a trial can be ended early.

    Raises:
        UsageError: the storage cannot be opened; a password in the URL is not shown.
        WriteError: its disk is full.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = _storage(url)
    with _failures_told(storage.engine.url.render_as_string(hide_password=True)):
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            sampler=_Sampler(seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=warmup)
            if pruner == "median"
            else optuna.pruners.NopPruner(),
        )
        if study.user_attrs.get("identity") != dict(identity):
            study.set_user_attr("identity", dict(identity))
    return Store(study, storage, space)


def require_storage(url: str) -> str:
    """Make sure that a URL names a kind of database whose driver is installed; nothing is opened.

    Returns:
        The URL without its password.

    Raises:
        UsageError: it does not.
    """
    try:
        parts = sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise UsageError(
            "no storage URL",
            where="storage",
            remedy="e.g. sqlite:////path/search.db or postgresql://host/database",
        ) from error
    shown = parts.render_as_string(hide_password=True)
    try:
        parts.get_dialect().import_dbapi()
    except (ImportError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise UsageError(
            f"no driver for this kind of database ({error})",
            where=shown,
            remedy="install it with pip, or use an sqlite URL",
        ) from error
    return shown


def _storage(url: str) -> optuna.storages.RDBStorage:
    shown = require_storage(url)
    wait = {"connect_args": {"timeout": LOCK_SECONDS}} if url.startswith("sqlite") else {}
    tries = 3  # two processes that make the tables at the same moment disturb each other once
    for attempt in range(1, tries + 1):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=wait)
        except _FAILURES as error:
            said = _cause(error)
            if _FULL in said:
                raise _no_room(said, shown) from error
            if attempt == tries:
                raise UsageError(
                    f"the storage cannot be opened ({said})",
                    where=shown,
                    remedy="check that the database runs, the address, the rights and, for a file, its folder",
                ) from error
            time.sleep(0.5 * attempt)
    raise AssertionError  # the last attempt returns or raises
