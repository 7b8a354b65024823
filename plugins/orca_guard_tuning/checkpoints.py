"""Checkpoints of a training: whole or not there, and with everything that decides what comes next."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orca_guard.errors import BadInput

if TYPE_CHECKING:
    from accelerate import Accelerator

_PLACE = "place.json"


class Place(NamedTuple):
    """The step that is next: number of its stage, and in it, from 0."""

    stage: int
    step: int


class Checkpoints:
    """The newest checkpoint in a folder: weights, optimiser, random states of every process, and the place.

    One is written beside the old one and renamed when all of it is on disk. A process that is killed meanwhile leaves
    the old one, and a folder that the next start removes.
    """

    def __init__(self, folder: Path, accelerator: Accelerator) -> None:
        self._folder = folder
        self._accelerator = accelerator
        if accelerator.is_main_process:
            folder.mkdir(parents=True, exist_ok=True)
            for torn in folder.glob(".new-*"):
                shutil.rmtree(torn)
        accelerator.wait_for_everyone()

    def save(self, place: Place) -> None:
        """Write one, and drop those before it.

        Raises:
            BadInput: the folder takes no more.
        """
        new = self._folder / f".new-{place.stage}-{place.step}"
        try:
            self._accelerator.save_state(str(new))
        except (OSError, RuntimeError) as error:  # torch tells of a full disk as a RuntimeError
            raise BadInput(
                f"cannot write a checkpoint to {self._folder}: {error}. The one before it is whole: "
                "make room and run the same command again to go on."
            ) from error
        self._accelerator.wait_for_everyone()
        if self._accelerator.is_main_process:
            (new / _PLACE).write_text(json.dumps(place._asdict()), "utf-8")
            _synced(new)
            old = self._all()
            new.rename(self._folder / f"{place.stage}-{place.step}")
            for path in old:
                shutil.rmtree(path)
        self._accelerator.wait_for_everyone()

    def restore(self) -> Place:
        """Load the newest one, if there is any, and return its place."""
        found = self._all()
        if not found:
            return Place(0, 0)
        self._accelerator.load_state(str(found[-1]))
        return _place(found[-1])

    def remove(self) -> None:
        """Drop all of them: the training is over."""
        if self._accelerator.is_main_process:
            shutil.rmtree(self._folder)
        self._accelerator.wait_for_everyone()

    def _all(self) -> list[Path]:
        return sorted((p for p in self._folder.glob("[0-9]*-*") if (p / _PLACE).is_file()), key=_place)


def _place(path: Path) -> Place:
    return Place(**json.loads((path / _PLACE).read_text("utf-8")))


def _synced(folder: Path) -> None:
    """Wait until all files of a folder are on disk."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
