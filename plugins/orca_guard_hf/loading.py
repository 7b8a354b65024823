"""Loading from files: quietly, completely, and with one line about what is wrong."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from transformers.utils import logging as _logging

from orca_guard.errors import BadInput, ModelFailed, OrcaGuardError

_PICKLED = (
    "a weights file is damaged, or holds more than weights, which is never unpickled here. Copy or download it again, "
    "or convert it to safetensors where it was made."
)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Load something from files, quietly; whatever goes wrong becomes one line about `what`.

    Raises:
        BadInput: the files cannot be used. Any exception is taken for that, because a damaged file can make
            transformers, torch and the tokenizers library raise any.
        ModelFailed: not enough memory.
    """
    try:
        with quiet():
            yield
    except OrcaGuardError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ModelFailed(
            f"{what} does not fit: {first_line(error)}. Choose a smaller dtype, or let --device-map auto spread it."
        ) from error
    except Exception as error:
        raise BadInput(f"{what} cannot be loaded: {_PICKLED if _unpickled(error) else first_line(error)}") from error


def _unpickled(error: BaseException) -> bool:
    """Whether torch could not read a pickle, or refused to. Its own message advises to run what is in it."""
    return isinstance(error, UnpicklingError | EOFError) or "weights_only" in str(error)


def check_loaded(info: Any, path: Path) -> None:
    """Refuse weights that transformers would fill up with random numbers."""
    for what in ("missing_keys", "mismatched_keys"):
        if names := sorted(map(str, info.get(what) or ())):
            raise BadInput(
                f"the weights in {path} do not fit its config.json: {len(names)} {what.split('_')[0]}, "
                f"first {names[0]!r}. Copy or download the directory again."
            )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars and warnings: what matters of them is raised as an error here."""
    noise: Any = _logging
    accelerate = logging.getLogger("accelerate")
    level, bars, before = noise.get_verbosity(), noise.is_progress_bar_enabled(), accelerate.level
    accelerate.setLevel(logging.ERROR)
    noise.set_verbosity_error()
    noise.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        accelerate.setLevel(before)
        noise.set_verbosity(level)
        if bars:
            noise.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its name."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
