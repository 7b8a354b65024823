"""Where the layers go and in which precision: a model spec's wishes as arguments for transformers and accelerate."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from orca_guard.contracts import ModelSpec
from orca_guard.errors import BadInput, suggest
from orca_guard_hf.directory import read_json

_STRATEGIES = ("auto", "balanced", "balanced_low_0", "sequential")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a model is laid out.

    Attributes:
        device: where its inputs go, and the model too when it lies in one piece.
        device_map: for accelerate; None where the model lies in one piece and needs no hooks.
        max_memory: for accelerate.
        offload_dir: of layers on disk.
        temporary: whether that folder was made here, and goes with the model.
        dtype: of the weights; `auto` is the checkpoint's.
    """

    device: torch.device
    device_map: str | dict[str, str | int] | None
    max_memory: dict[str | int, str | int]
    offload_dir: str
    temporary: bool
    dtype: torch.dtype | str

    def arguments(self) -> dict[str, Any]:
        """For `from_pretrained`."""
        if self.device_map is None:
            return {"dtype": self.dtype}
        limits = {"max_memory": self.max_memory} if self.max_memory else {}
        return {"dtype": self.dtype, "device_map": self.device_map, "offload_folder": self.offload_dir, **limits}

    def check_cover(self, weights: Iterable[str]) -> None:
        """Refuse an explicit map that says nothing about some weight."""
        if not isinstance(self.device_map, dict):
            return
        for weight in weights:
            if not any(not module or f"{weight}.".startswith(f"{module}.") for module in self.device_map):
                raise BadInput(f"the device map says nothing about {weight!r}. Name it, or a module around it.")


def place(spec: ModelSpec) -> Placement:
    """Read a spec's wishes.

    Raises:
        BadInput: a device, amount, mapping or dtype that does not exist here.
    """
    wish = _map_of(spec)
    whole = _one_device(wish, spec)
    device = whole or _first_device(wish)
    return Placement(
        device=device,
        device_map=None if whole else wish,
        max_memory={_key(k): v for k, v in spec.max_memory.items()},
        offload_dir=spec.offload_dir or ("" if whole else tempfile.mkdtemp(prefix="orca-guard-offload-")),
        temporary=not spec.offload_dir and whole is None,
        dtype=_dtype(spec.dtype, device),
    )


def _map_of(spec: ModelSpec) -> str | dict[str, str | int]:
    wish = spec.device_map
    if isinstance(wish, Mapping):
        return _checked(wish)
    if wish.lstrip().startswith("{"):
        return _checked(_from_json(wish))
    if wish.endswith(".json"):
        return _checked(read_json(Path(wish).expanduser()))
    return "auto" if spec.max_memory and not wish else wish


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadInput(f"the device map is no JSON: {error}.") from error


def _checked(wish: Any) -> dict[str, str | int]:
    """An explicit map whose every value is a device that is there."""
    if not isinstance(wish, Mapping) or not wish:
        raise BadInput("an explicit device map names a device for each module, for example {'model.layers.0': 'cpu'}.")
    return {str(module): _checked_device(str(module), where) for module, where in wish.items()}


def _checked_device(module: str, where: Any) -> str | int:
    if where == "disk":
        return "disk"
    if isinstance(where, bool) or not isinstance(where, str | int):
        raise BadInput(f"the device map puts {module!r} on {where!r}. A device is a number, a name, 'cpu' or 'disk'.")
    device = _device(str(where))
    return where if device.type != "cuda" or isinstance(where, int) else str(device)


def _one_device(wish: str | dict[str, str | int], spec: ModelSpec) -> torch.device | None:
    """The device, when the model lies on one in one piece."""
    if isinstance(wish, dict):
        return None
    if wish in _STRATEGIES:
        _check_not_shared(wish, spec)
        return None
    if spec.max_memory:
        raise BadInput(f"max_memory has no meaning when everything goes to {wish!r}. Leave one of the two out.")
    return _device(wish) if wish else _own_device()


def _own_device() -> torch.device:
    """The GPU of this process, of several that a launcher started here; or the only one it sees; or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if there > 1 and local >= there:
        raise BadInput(
            f"process {local} of this machine has no GPU to itself: there are {there}. Start {there} at most."
        )
    return torch.device("cuda", local if there > 1 else 0)


def _check_not_shared(wish: str, spec: ModelSpec) -> None:
    """Several processes that each spread over all GPUs would fill them together."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if here > 1 and torch.cuda.device_count() > 1 and not spec.max_memory:
        raise BadInput(
            f"device map {wish!r} spreads over all GPUs, and so would each of {here} processes. Leave it out, and each "
            "takes a GPU of its own; or start one process; or say by max_memory what each may take."
        )


def _first_device(wish: str | dict[str, str | int]) -> torch.device:
    """Where inputs go: the first accelerator among the devices, else the CPU."""
    if isinstance(wish, str):
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    devices = [_device(str(where)) for where in wish.values() if where != "disk"]
    return next((d for d in devices if d.type != "cpu"), torch.device("cpu"))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(f"cuda:{name}" if name.isdigit() else name)
    except RuntimeError as error:
        known = ("cpu", "cuda", "mps", *_STRATEGIES)
        raise BadInput(f"unknown device {name!r}{suggest(name, known)}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"device {name!r} is not there: this machine has {torch.cuda.device_count()} CUDA devices.")
    if device.type not in {"cpu", "cuda"} and not getattr(torch, device.type, None):
        raise BadInput(f"device {name!r} is not there.")
    return device


def _key(key: str) -> str | int:
    return int(key) if str(key).isdigit() else key


def _dtype(name: str, device: torch.device) -> torch.dtype | str:
    """`auto` is the checkpoint's precision on an accelerator, and single precision on a CPU."""
    if name in {"", "auto"}:
        return torch.float32 if device.type == "cpu" else "auto"
    return dtype_named(name)


def dtype_named(name: str) -> torch.dtype:
    """The precision of that name. Raises `BadInput` where there is none."""
    if name not in _DTYPES:
        raise BadInput(f"unknown dtype {name!r}{suggest(name, ('auto', *_DTYPES))}")
    return _DTYPES[name]
