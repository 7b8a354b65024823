"""Stages of training, one after the other; what is killed goes on and ends with the same weights."""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from orca_guard.errors import BadInput, ModelFailed
from orca_guard_tuning.checkpoints import Checkpoints, Place
from orca_guard_tuning.examples import Example
from orca_guard_tuning.network import loss_sum, narrows
from orca_guard_tuning.packing import batch, epoch
from orca_guard_tuning.schedule import Shape, rate_at

Rows: TypeAlias = list[list[int]]
"""Rows of one step: numbers of the examples in each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage trains on, and how.

    Attributes:
        name: of the stage.
        examples: all of them.
        steps: of every step its rows, epoch after epoch.
        rate: the highest learning rate.
        warmup: share of the steps in which it rises.
        shape: in which it falls.
        decay: weight decay of the matrices.
    """

    name: str
    examples: Sequence[Example]
    steps: Sequence[Rows]
    rate: float
    warmup: float = 0.03
    shape: Shape = "cosine"
    decay: float = 0.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        return rate_at(step, steps=len(self.steps), peak=self.rate, warmup=self.warmup, shape=self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step as it went.

    Attributes:
        place: which one.
        loss: mean over its answer tokens, in nats.
        tokens: with a loss.
        rate: the learning rate.
        held_out: mean loss on the held-out examples instead, at the end of a stage.
    """

    place: Place
    loss: float
    tokens: int
    rate: float = 0.0
    held_out: bool = False


def steps_of(lengths: Sequence[int], *, length: int, rows: int, epochs: int, seed: Sequence[str | int],
             alone: bool = False) -> list[Rows]:  # fmt: skip
    """The steps of a stage: in every epoch all examples in another order, packed anew.

    Args:
        lengths: of the examples.
        length: most tokens of a row.
        rows: of one step.
        epochs: how often every example is seen.
        seed: what the order depends on.
        alone: give every example a row of its own.
    """
    found: list[Rows] = []
    for number in range(epochs):
        order = epoch(lengths, capacity=length, seed=(*seed, number), alone=alone)
        found += [order[start : start + rows] for start in range(0, len(order), rows)]
    return found


class Trainer:
    """Trains a network through stages.

    The result depends on network, stages, seed and the number of processes, and not on when it was interrupted.

    Args:
        network: causal language model of transformers, in float32.
        stages: in order.
        accelerator: of accelerate; decides about devices, processes and precision.
        folder: for checkpoints and the log of losses.
        seed: of what is left to chance besides the order of examples: dropout.
        pad: the padding token.
        rows_at_once: rows in one forward of one process; more are faster and need more memory.
        held_out: whose loss is told at the end of every stage.
        clip: most that the norm of all gradients may be.
        every: seconds between checkpoints.
    """

    def __init__(
        self,
        network: Any,
        stages: Sequence[Stage],
        *,
        accelerator: Accelerator,
        folder: Path,
        seed: int = 0,
        pad: int = 0,
        rows_at_once: int = 1,
        held_out: Sequence[Example] = (),
        clip: float = 1.0,
        every: float = 300.0,
    ) -> None:
        from accelerate.utils import set_seed  # noqa: PLC0415  # imports what only multi-device set-ups need

        set_seed(seed, device_specific=True)
        self._stages = stages
        self._accelerator = accelerator
        self._pad = pad
        self._rows_at_once = rows_at_once
        self._held_out = held_out
        self._clip = clip
        self._every = every
        self._narrow = narrows(network)
        self._network, self._optimizer = accelerator.prepare(network, _optimizer(network))
        self._checkpoints = Checkpoints(folder / "checkpoints", accelerator)
        self._place = self._checkpoints.restore()
        self._log = _Log(folder / "losses.jsonl", at=self._place, quiet=not accelerator.is_main_process)
        self._saved = time.monotonic()

    @property
    def network(self) -> Any:
        """The network, as accelerate wrapped it."""
        return self._network

    @property
    def place(self) -> Place:
        """The step that is next."""
        return self._place

    def run(self, tell: Callable[[Told], None] = lambda _: None) -> None:
        """Train to the end.

        Raises:
            KeyboardInterrupt: it was interrupted; a checkpoint holds all that was done.
            ModelFailed: the loss is no number any more.
            BadInput: the folder cannot be written.
        """
        with _interrupts(alone=self._accelerator.num_processes == 1) as interrupted:
            while self._place.stage < len(self._stages):
                self._stage(self._stages[self._place.stage], tell, interrupted)

    def finish(self) -> None:
        """Drop the checkpoints: what was trained is kept elsewhere."""
        self._checkpoints.remove()

    def _stage(self, stage: Stage, tell: Callable[[Told], None], interrupted: threading.Event) -> None:
        self._network.train()
        for group, decay in zip(self._optimizer.param_groups, (stage.decay, 0.0), strict=True):
            group["weight_decay"] = decay
        while self._place.step < len(stage.steps):
            told, due = self._step(stage)
            self._note(told, tell)
            self._place = Place(self._place.stage, self._place.step + 1)
            if interrupted.is_set():
                self._save()
                raise KeyboardInterrupt
            if due:
                self._save()
        if self._held_out:
            self._note(self._measured(), tell)
        self._place = Place(self._place.stage + 1, 0)
        self._forget()
        self._save()

    def _note(self, told: Told, tell: Callable[[Told], None]) -> None:
        self._log.write(told)
        tell(told)

    def _save(self) -> None:
        self._log.sync()
        self._checkpoints.save(self._place)
        self._saved = time.monotonic()

    def _forget(self) -> None:
        """Every stage begins with an optimiser that knows nothing of the one before."""
        getattr(self._optimizer, "optimizer", self._optimizer).state.clear()

    def _step(self, stage: Stage) -> tuple[Told, bool]:
        """One update, and whether a checkpoint is due: the first process decides for all of them."""
        rows, rate = stage.steps[self._place.step], stage.rate_at(self._place.step)
        tokens = sum(stage.examples[number].answer_tokens for row in rows for number in row)
        total = torch.zeros((), device=self._accelerator.device)
        mine = list(self._share(rows))
        for number, part in enumerate(mine):
            with nullcontext() if number == len(mine) - 1 else self._accelerator.no_sync(self._network):
                total += self._backward(stage.examples, part, tokens)
        total, due = self._agreed(total, due=time.monotonic() - self._saved >= self._every)
        loss = float(total) / tokens
        if not math.isfinite(loss):
            raise ModelFailed(
                f"the loss is {loss} at step {self._place.step} of stage {stage.name!r}, so nothing is left to train. "
                "Lower its rate, or look at the examples; the last checkpoint is from before."
            )
        self._update(rate)
        return Told(place=self._place, loss=loss, tokens=tokens, rate=rate), due

    def _share(self, rows: Rows) -> Iterator[Rows]:
        """What this process does of a step, in parts; every process has as many, and some may be empty."""
        world, size = self._accelerator.num_processes, self._rows_at_once
        mine = rows[self._accelerator.process_index :: world]
        for start in range(0, -(-len(rows) // world), size):
            yield mine[start : start + size] or [[]]

    def _backward(self, examples: Sequence[Example], rows: Rows, tokens: int) -> Tensor:
        made = batch([[examples[number] for number in row] for row in rows], pad=self._pad)
        with self._accelerator.autocast():
            loss = loss_sum(self._network, made.to(self._accelerator.device), narrow=self._narrow)
        # Gradients are averaged over processes, and the sum is wanted.
        self._accelerator.backward(loss * (self._accelerator.num_processes / tokens))
        return loss.detach()

    def _agreed(self, total: Tensor, *, due: bool) -> tuple[Tensor, bool]:
        mine = torch.stack([total, torch.full_like(total, due and self._accelerator.is_main_process)])
        ours: Any = self._accelerator.reduce(mine, reduction="sum")
        return ours[0], bool(ours[1])

    def _update(self, rate: float) -> None:
        self._accelerator.clip_grad_norm_(self._network.parameters(), self._clip)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        self._optimizer.zero_grad()

    @torch.no_grad()
    def _measured(self) -> Told:
        """Mean loss on the held-out examples, one a row."""
        # Without the wrapper, which would wait for processes that have fewer examples.
        network: Any = self._accelerator.unwrap_model(self._network)
        network.eval()
        total = torch.zeros((), device=self._accelerator.device)
        for example in self._held_out[self._accelerator.process_index :: self._accelerator.num_processes]:
            rows = batch([[example]], pad=self._pad).to(self._accelerator.device)
            with self._accelerator.autocast():
                total += loss_sum(network, rows, narrow=self._narrow)
        tokens = sum(example.answer_tokens for example in self._held_out)
        summed: Any = self._accelerator.reduce(total, reduction="sum")
        return Told(place=self._place, loss=float(summed) / tokens, tokens=tokens, held_out=True)


def _optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """AdamW, with decay for matrices alone."""
    matrices = [p for p in network.parameters() if p.requires_grad and p.ndim >= 2]  # noqa: PLR2004
    others = [p for p in network.parameters() if p.requires_grad and p.ndim < 2]  # noqa: PLR2004
    return torch.optim.AdamW([{"params": matrices}, {"params": others}], lr=0.0, betas=(0.9, 0.95))


@contextmanager
def _interrupts(*, alone: bool) -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that the step under way ends and is kept; the second time it interrupts at once.

    Of several processes not all would notice in the same step, so there it always interrupts at once.
    """
    noticed = threading.Event()
    if not alone or threading.current_thread() is not threading.main_thread():
        yield noticed
        return
    before = signal.getsignal(signal.SIGINT)

    def notice(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        noticed.set()

    signal.signal(signal.SIGINT, notice)
    try:
        yield noticed
    finally:
        signal.signal(signal.SIGINT, before)


class _Log:
    """Losses, a line a step; what comes after the place that a training goes on from is dropped."""

    def __init__(self, path: Path, *, at: Place, quiet: bool) -> None:
        self._path = path
        self._quiet = quiet
        if not quiet:
            kept = [told for told in read_log(path) if told.place < at]
            with self._opened("w") as file:
                file.write("".join(map(_line, kept)))

    def write(self, told: Told) -> None:
        """Append a line."""
        if not self._quiet:
            with self._opened("a") as file:
                file.write(_line(told))

    def sync(self) -> None:
        """Wait until it is on disk."""
        if not self._quiet:
            with self._opened("a") as file:
                os.fsync(file.fileno())

    @contextmanager
    def _opened(self, mode: Literal["a", "w"]) -> Iterator[TextIO]:
        try:
            with self._path.open(mode, encoding="utf-8") as file:
                yield file
        except OSError as error:
            raise BadInput(f"cannot write {self._path}: {error.strerror}. Make room and start again.") from error


def _line(told: Told) -> str:
    row = {"stage": told.place.stage, "step": told.place.step, "loss": told.loss, "tokens": told.tokens}
    return json.dumps(row | ({"held_out": True} if told.held_out else {"rate": told.rate})) + "\n"


def read_log(path: Path) -> list[Told]:
    """The losses in a log; a torn last line is left out."""
    found = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            break
        place = Place(row.pop("stage"), row.pop("step"))
        found.append(Told(place=place, **row))
    return found
