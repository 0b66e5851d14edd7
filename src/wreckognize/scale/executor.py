"""Parts done by the nodes of a Ray cluster, one model for each worker.

Plain actors with a queue kept here, not Ray Data: a part is already what is kept, resumed and counted, and with the
queue in one process it is plain that each part is taken over exactly once. A worker whose node or process died
gives its parts back to the queue; workers are hired on every node there is at that time, so nodes may come and go.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from wreckognize.errors import ClusterError, WreckognizeError
from wreckognize.inference.executor import Tables, Tick, Work
from wreckognize.scale.cluster import joined
from wreckognize.scale.storage import Storage
from wreckognize.scale.worker import Carried, Order, Worker, library_versions
from wreckognize.settings import ScaleSettings

AHEAD = 2
"""Parts a worker has at a time: one for the model, one whose photos are being fetched."""

TRIES = 5
"""A part that was with this many workers when they died is not given to another."""

_LOOK_ROUND = 1.0  # seconds between looks at which nodes there are
_TAKE_SECONDS = 120.0  # for a finished part's tables to come over
_CLOSE_SECONDS = 5.0


@dataclass(eq=False)
class _Hand:
    """A worker, the node it is on, and the parts it has."""

    actor: Any
    node: str
    starting: Any  # reference of its `start`; None once it is ready
    parts: dict[Any, int] = field(default_factory=dict)  # reference -> part


class RayExecutor:
    """Does parts on a Ray cluster; it is joined, or started here, when the first part is to be done."""

    def __init__(
        self, settings: ScaleSettings, *, places: Mapping[str, str] | None = None, say: Callable[[str], None]
    ) -> None:
        self._settings, self._places, self._say = settings, dict(places or {}), say
        self._held = ExitStack()
        self._ray: Any = None

    def close(self) -> None:
        """Leave the cluster; take it down if it was started here."""
        self._ray = None
        self._held.close()

    def run(self, parts: Mapping[int, pl.DataFrame], work: Work, tick: Tick) -> Iterator[tuple[int, Tables]]:
        """Yield every part's number and tables exactly once, as they are finished.

        Raises:
            ClusterError: no worker can be had, they keep dying, or they do not fit this machine.
            WreckognizeError: whatever the work itself raises.
        """
        if not parts:
            return
        if self._ray is None:
            self._ray = self._held.enter_context(joined(self._settings.address))
        crew = _Crew(self._ray, self._settings, self._order(work), [file.read_bytes() for file in work.files])
        try:
            yield from self._run(parts, crew, tick)
        finally:
            crew.dismiss()

    def _order(self, work: Work) -> Order:
        files = tuple(Carried(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in work.files)
        return Order(work, files, self._places, Storage(self._settings.storage), library_versions())

    def _run(self, parts: Mapping[int, pl.DataFrame], crew: _Crew, tick: Tick) -> Iterator[tuple[int, Tables]]:
        queue, tries = deque(parts), Counter[int]()
        left = set(parts)
        while left:
            crew.hire()
            for hand in crew.ready():
                while queue and len(hand.parts) < AHEAD:
                    number = queue.popleft()
                    hand.parts[hand.actor.do.remote(parts[number])] = number
            for outcome in crew.wait():
                if isinstance(outcome, _Finished):
                    left.discard(outcome.part)
                    tick(parts[outcome.part].height)
                    yield outcome.part, outcome.tables
                    continue
                self._say(f"  note: a worker was lost ({outcome.why}); {len(outcome.parts)} parts go to others")
                tries.update(outcome.parts)
                self._require_sound(parts, tries, outcome)
                queue.extendleft(sorted(outcome.parts, reverse=True))

    @staticmethod
    def _require_sound(parts: Mapping[int, pl.DataFrame], tries: Counter[int], lost: _Lost) -> None:
        for number in lost.parts:
            if tries[number] >= TRIES:
                rows = parts[number]
                raise ClusterError(
                    f"{TRIES} workers died over the photos {rows['photo'][0]} to {rows['photo'][-1]}; the last: "
                    f"{lost.why}",
                    remedy="give workers more memory (fewer with scale.workers_per_node), or leave the photo out "
                    "that they cannot bear; what is finished is not done again",
                )


@dataclass(frozen=True)
class _Finished:
    part: int
    tables: Tables


@dataclass(frozen=True)
class _Lost:
    parts: tuple[int, ...]
    why: str


class _Crew:
    """The workers that there are."""

    def __init__(self, ray: Any, settings: ScaleSettings, order: Order, contents: list[bytes]) -> None:
        self._ray, self._settings = ray, settings
        self._order = ray.put(order)
        self._contents = [ray.put(content) for content in contents]
        self._hands: list[_Hand] = []
        self._looked = -_LOOK_ROUND
        self._without = time.monotonic()  # since when no worker is ready
        self._failed_starts = 0

    def ready(self) -> list[_Hand]:
        return [hand for hand in self._hands if hand.starting is None]

    def hire(self) -> None:
        """As many workers as each living node should have."""
        now = time.monotonic()
        if now - self._looked < _LOOK_ROUND:
            return
        self._looked = now
        have = Counter(hand.node for hand in self._hands)
        for node in self._ray.nodes():
            if node["Alive"]:
                for _ in range(self._wanted(node) - have[node["NodeID"]]):
                    self._hands.append(self._hire(node))
        if self.ready():
            self._without = now
        elif now - self._without > self._settings.patience:
            raise ClusterError(
                f"no worker could begin within {self._settings.patience:g} seconds; the cluster has "
                f"{_words(self._ray.cluster_resources())}, of which free: {_words(self._ray.available_resources())}",
                remedy="wait until others have finished, add nodes, or give more time with scale.patience",
            )

    def _wanted(self, node: Mapping[str, Any]) -> int:
        resources = node["Resources"]
        if resources.get("CPU", 0) < 1:  # a head that only heads
            return 0
        return self._settings.workers_per_node or max(1, int(resources.get("GPU", 0)))

    def _hire(self, node: Mapping[str, Any]) -> _Hand:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        workers, gpus = self._wanted(node), node["Resources"].get("GPU", 0)
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=1,
                num_gpus=min(1.0, gpus / workers),
                max_concurrency=AHEAD,
                max_restarts=0,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            )
            .remote()
        )
        return _Hand(actor, node["NodeID"], actor.start.remote(self._order, *self._contents))

    def wait(self) -> list[_Finished | _Lost]:
        """What became of the workers' parts within a second."""
        awaited = {
            reference: hand
            for hand in self._hands
            for reference in ([hand.starting] if hand.starting is not None else hand.parts)
        }
        if not awaited:
            time.sleep(_LOOK_ROUND / 4)
            return []
        done, _ = self._ray.wait(list(awaited), num_returns=len(awaited), timeout=0.05, fetch_local=False)
        if not done:
            done, _ = self._ray.wait(list(awaited), num_returns=1, timeout=_LOOK_ROUND, fetch_local=False)
        outcomes: list[_Finished | _Lost] = []
        for reference in done:
            hand = awaited[reference]
            if hand in self._hands:  # else it was lost a moment ago, and its parts are back in the queue
                outcome = self._take(hand, reference)
                outcomes += [outcome] if outcome is not None else []
        return outcomes

    def _take(self, hand: _Hand, reference: Any) -> _Finished | _Lost | None:
        exceptions = self._ray.exceptions
        try:
            answer = self._ray.get(reference, timeout=_TAKE_SECONDS)
        except exceptions.RayTaskError as error:  # raised within the work, and not on purpose
            raise ClusterError(
                f"a worker failed: {str(error).strip().splitlines()[-1]}",
                remedy="run it with --on here to see whether the work or the machine is at fault; what is finished is "
                "not done again",
            ) from error
        except exceptions.RayError as error:
            return self._lose(hand, error)
        if isinstance(answer, WreckognizeError):
            raise answer
        if hand.starting is not None:
            hand.starting, self._failed_starts = None, 0
            return None
        return _Finished(hand.parts.pop(reference), answer)

    def _lose(self, hand: _Hand, error: Exception) -> _Lost | None:
        self._hands.remove(hand)
        self._ray.kill(hand.actor)
        why = _reason(error)
        if hand.starting is None:
            return _Lost(tuple(hand.parts.values()), why)
        self._failed_starts += 1
        if self._failed_starts >= TRIES:
            raise ClusterError(
                f"{TRIES} workers one after the other could not begin; the last: {why}",
                remedy="install the same wreckognize with its extras on all machines of the cluster, and give workers "
                "enough memory for the model",
            ) from error
        return None

    def dismiss(self) -> None:
        """Let all workers tidy up and go."""
        closing = [hand.actor.close.remote() for hand in self._hands]
        if closing:
            self._ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_SECONDS)
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._hands.clear()


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:160] or type(error).__name__


def _words(resources: Mapping[str, float]) -> str:
    return f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
