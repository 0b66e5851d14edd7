"""The Ultralytics trainer with the few things changed that this package cannot do without.

Imported in the training child only, after the library is fenced.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from wreckognize.detectors.ultralytics import cpu_threads, load_network
from wreckognize.errors import TrainingError
from wreckognize.files import atomic_write
from wreckognize.training.best import mend_average, remove_weights, write_weights
from wreckognize.training.events import Events
from wreckognize.training.job import TrainJob
from wreckognize.training.key import check_fit, key_of
from wreckognize.training.orphans import WorkerStart, end_with_parent
from wreckognize.training.packing import (
    pack_gradients,
    pack_network,
    pack_optimizer,
    unpack_gradients,
    unpack_network,
    unpack_optimizer,
)
from wreckognize.training.photos import OneEpoch, Photos, keep_photos
from wreckognize.training.sockets import keep_sockets_short
from wreckognize.training.state import (
    Best,
    Epoch,
    Facts,
    State,
    UnfitState,
    read_state,
    write_state,
)
from wreckognize.training.store import PhotoStore
from wreckognize.training.validator import Validator, in_float32

_ATTEMPTS = 3


class FineTuner(DetectionTrainer):
    """The library's detection trainer with these things changed.

    * It starts from any weights this package reads, also without a pickle.
    * After each epoch it writes its whole state (`wreckognize.training.state`) and, of the best epoch, the weights;
      it writes no pickles. What an epoch draws depends on (seed, epoch) alone. So it can be killed at any moment, and
      on a CPU the weights it ends with are the same to the bit.
    * A loss that is no number sends it back to the last state, to redo the epoch with other draws.
    * On a CPU it uses every core, tensors are laid out channels-last, and it computes in bfloat16 if ``amp: bf16`` is
      asked for and the CPU has instructions for it (the stock trainer takes one core less and refuses bfloat16).
    * Decoded photos are kept where there is room (`wreckognize.training.store`).
    * After each epoch it knows how well photos with and without a vehicle are told apart (`Validator`).
    """

    cpu_bf16 = False
    """Set by the child; the library's own ``amp: bf16`` raises on a CPU, so its ``amp`` is always False there."""

    model: Any  # the name of weights at first, a network after `setup_model`

    def __init__(self, cfg: Any, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        if "LOCAL_RANK" in os.environ:  # a worker of a training on several GPUs: its launcher must not outlive us
            end_with_parent(os.getppid())
        keep_sockets_short()
        self._steps = 1  # batches to an optimizer step, as the library sets them
        self._late = 0  # what the library's count of batches since the last step misses
        self._pending = 0  # batches whose gradients are not applied
        self._carried: dict[str, Any] = {}  # gradients to begin the next epoch with
        self._store: PhotoStore | None = None
        self._best: Best | None = None
        self._reported: list[Epoch] = []
        self._seconds_before = 0.0  # of work, in earlier processes
        self._began = time.monotonic()
        super().__init__(cfg, overrides, _callbacks)
        if self.device.type == "cpu":
            torch.set_num_threads(cpu_threads())
            self.args.workers = (overrides or {}).get("workers") or 0  # the library would have none
        root = Path(self.save_dir).parent  # of several processes, each finds its job there
        self.job = TrainJob.model_validate_json((root / "job.json").read_bytes())
        self.key = key_of(self.job)
        self.events = Events(self.job.events) if RANK in {-1, 0} else None
        self.add_callback("on_train_epoch_start", FineTuner._begin_epoch)
        self.add_callback("on_train_batch_end", FineTuner._count_batch)
        self.add_callback("on_train_start", FineTuner._tell_start)
        if self.events:
            self.add_callback("on_train_batch_end", self.events.batch_end)

    # The state, and the way back to it.

    def _setup_train(self) -> None:
        state = self._usable_state()
        if state:
            self.args.batch = self.batch_size = state.facts.batch
        super()._setup_train()
        if self.device.type == "cpu":
            self.model = self.model.to(memory_format=torch.channels_last)
        if self.cpu_bf16:
            self.amp = True  # autocast on a CPU is bfloat16; no gradient scaling is needed
            self.model.criterion = in_float32(self.model.init_criterion())
        if state:
            self._return_to(state)
            self.start_epoch = state.facts.epoch
            self.scheduler.last_epoch = self.start_epoch - 1
        if RANK in {-1, 0}:
            remove_weights(self.job.folder, but=self._best)  # of an epoch whose state was not written any more
            if not state:  # a loss that is no number in the first epoch goes back to its beginning
                self._write_state(0, finished=False)

    def _usable_state(self) -> State | None:
        """The state to go on from; one that does not fit is named."""
        why = ""
        if self.job.state.exists():
            try:
                state = read_state(self.job.state)
                check_fit(state.facts, self.job.folder, self.key)
            except UnfitState as error:
                why = str(error)
            else:
                return state
        if self.events:
            self.events.anew()
            if why:
                self.events.note(f"training begins anew: its stored state cannot be gone on from ({why})")
        return None

    def _return_to(self, state: State) -> None:
        """Make everything that decides the coming epochs what it was when the state was written."""
        facts, model = state.facts, unwrap_model(self.model)
        unpack_network(model, "model", state.tensors)
        unpack_network(self.ema.ema, "ema", state.tensors)
        self.ema.updates = facts.ema_updates
        unpack_optimizer(self.optimizer, state.tensors, facts.groups, facts.scalars)
        self.scaler.load_state_dict(facts.scaler)
        self.stopper.__dict__.update(facts.stopper)
        self._best, self.best_fitness = facts.best, facts.best.fitness if facts.best else None
        self._reported = list(facts.epochs)
        self._seconds_before, self._began = facts.seconds, time.monotonic()
        self._pending = facts.pending
        self._carried = {name: value for name, value in state.tensors.items() if name.startswith("gradient.")}
        if facts.loss_updates:
            model.criterion = getattr(model, "criterion", None) or model.init_criterion()
            model.criterion.updates = facts.loss_updates - 1
            model.criterion.update()
        if RANK in {-1, 0} and facts.curves:
            atomic_write(self.csv, facts.curves)

    def _write_state(self, epoch: int, *, finished: bool) -> None:
        model = unwrap_model(self.model)
        optimizer, groups, scalars = pack_optimizer(self.optimizer)
        facts = Facts(
            key=self.key,
            epoch=epoch,
            finished=finished,
            best=self._best,
            stopper={
                name: getattr(self.stopper, name) for name in ("best_fitness", "best_epoch", "possible_stop")
            },
            scaler=self.scaler.state_dict(),
            groups=groups,
            scalars=scalars,
            ema_updates=self.ema.updates,
            loss_updates=getattr(getattr(model, "criterion", None), "updates", None),
            pending=self._pending,
            batch=self.batch_size,
            seconds=self._seconds_before + time.monotonic() - self._began,
            curves=self.csv.read_text(encoding="utf-8") if self.csv.exists() else "",
            epochs=self._reported,
        )
        gradients = pack_gradients(model) if self._pending else {}
        networks = {**pack_network(model, "model"), **pack_network(self.ema.ema, "ema")}
        write_state(self.job.state, State(facts, {**networks, **optimizer, **gradients}))

    def save_model(self) -> bool:
        """Write the weights if they are the best, then the state, then tell of the epoch."""
        epoch = self.epoch + 1
        mend_average(self.ema.ema, unwrap_model(self.model))
        map50_95 = self.metrics.get("metrics/mAP50-95(B)")
        roc_area = self.validator.roc_area()
        told = Epoch(epoch=epoch, map50_95=None if map50_95 is None else float(map50_95), roc_area=roc_area)
        self._reported = [*self._reported, told]
        if self.best_fitness == self.fitness:
            self._best = Best(
                epoch=epoch, fitness=float(self.fitness), sha256=write_weights(self.ema.ema, self.job, epoch)
            )
        self._write_state(epoch, finished=bool(self.stop))
        remove_weights(self.job.folder, but=self._best)
        if self.events:
            self.events.epoch_end(told)
        return True

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Go back to the last state if the loss or what it was judged by is no number.

        Raises:
            TrainingError: for the fourth time in one epoch.
        """
        values = [None if self.loss is None else self.loss.detach(), self.fitness]
        broken = any(value is not None and not np.isfinite(float(value)) for value in values)
        if RANK != -1:
            said = [broken]
            torch.distributed.broadcast_object_list(said, 0)  # what the first process says, goes for all
            broken = said[0]
        if not broken:
            return False
        self.nan_recovery_attempts += 1  # the library takes it back to 0 after a good epoch
        if self.nan_recovery_attempts > _ATTEMPTS:
            raise TrainingError(
                f"the loss is no number in epoch {epoch + 1}, {_ATTEMPTS + 1} times with other draws",
                remedy="choose a lower lr0, or amp: false",
            )
        if self.events:
            self.events.note(
                f"the loss is no number in epoch {epoch + 1}; the epoch is done again with other draws"
            )
        self._model_train()
        self._return_to(read_state(self.job.state))
        self.scheduler.last_epoch = epoch - 1
        return True

    # An epoch.

    def _begin_epoch(self) -> None:
        """Draw the epoch's seeds, and take over the gradients that the last epoch left."""
        sources = [self.args.seed, self.epoch, self.nan_recovery_attempts, RANK + 1]
        first, second, third = (int(seed) for seed in np.random.SeedSequence(sources).generate_state(3))
        random.seed(first)
        np.random.seed(first)
        torch.manual_seed(first)  # of every GPU too
        self.train_loader.reset()  # its workers begin with the epoch, their seeds drawn from the generator
        self.train_loader.generator.manual_seed(second)
        self.train_loader.dataset.begin_epoch(third)
        if self._carried:
            unpack_gradients(unwrap_model(self.model), self._carried)
        if self.epoch == self.start_epoch or self.nan_recovery_attempts:
            # The library counts batches from the start of training and does not know of a step before this epoch.
            self._late = max(len(self.train_loader) * self.epoch - self._pending, 0)
        self._carried = {}

    @property
    def accumulate(self) -> int:
        """Batches to an optimizer step; the library takes a step when as many have gone by since the last one."""
        return self._steps + self._late

    @accumulate.setter
    def accumulate(self, steps: int) -> None:
        self._steps = steps

    def optimizer_step(self) -> None:
        """As the library does; from now on it knows when the last step was."""
        super().optimizer_step()
        self._late, self._pending = 0, -1  # this batch is counted yet

    def _count_batch(self) -> None:
        self._pending += 1

    def _tell_start(self) -> None:
        if not self.args.time:
            self.train_time_start -= self._seconds_before  # for the column `time` of the curves
        if self.events:
            self.events.start(self)
            self.events.catch_up(self._reported)

    # What is learnt from, and with.

    def setup_model(self) -> Any:
        """Build the network to train."""
        if isinstance(self.model, torch.nn.Module):
            return super().setup_model()
        network = load_network(str(self.model))
        for parameter in network.model.parameters():
            parameter.requires_grad_(True)
        self.model = self.get_model(cfg=network.model.yaml, weights=network.model, verbose=False)
        return None

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """The library's data set, made ours."""
        dataset = super().build_dataset(img_path, mode, batch)
        dataset.__class__ = Photos  # made by the library, whatever its version hands over
        return dataset

    def get_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """The library's loader; it ends with its epoch, and its workers with this process."""
        loader = super().get_dataloader(*args, **kwargs)
        loader.worker_init_fn = WorkerStart(os.getpid())
        if loader.num_workers:
            loader.multiprocessing_context = "fork"  # so that workers share the photos that are kept
        if loader.dataset.augment:
            object.__setattr__(loader, "batch_sampler", OneEpoch(loader.batch_sampler.sampler))
        return loader

    def _build_train_pipeline(self) -> None:
        """Build the loaders (again with smaller batches, where memory ran out) and keep decoded photos."""
        self._late = self._pending = 0
        super()._build_train_pipeline()
        datasets = [self.train_loader.dataset, self.test_loader.dataset]
        if self._store is None:
            kept = keep_photos(datasets, self.job, max(self.world_size, 1))
            self._store = kept.store
            if self.events:
                (self.events.note if kept.short else self.events.log)(kept.said)
        for dataset in datasets:
            dataset.store = self._store

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As the library does, with the photos laid out as the network is."""
        batch = super().preprocess_batch(batch)
        if self.device.type == "cpu":
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch

    def get_validator(self) -> Any:
        """The library's validator, which learns to note scores."""
        validator = super().get_validator()
        validator.__class__ = Validator  # made by the library, whatever its version hands over
        return validator

    def final_eval(self) -> None:
        """Nothing: the best weights were judged when their epoch ended."""
