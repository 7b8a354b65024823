"""A whole training: from a stages file to a directory that plain transformers loads."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout

from orca_guard.errors import BadInput, ConfigurationChanged
from orca_guard.identity import differences, digest_file, digest_of
from orca_guard_tuning.card import card, counted_row
from orca_guard_tuning.plot import loss_plot
from orca_guard_tuning.prepare import Prepared, prepare
from orca_guard_tuning.stages import StagesTable
from orca_guard_tuning.start import open_start, quiet
from orca_guard_tuning.toml import toml
from orca_guard_tuning.trainer import Told, Trainer, read_log
from orca_guard_tuning.triples import write_whole

_WORK = "training"
"""The folder in the model's directory that says how it came about."""

_LOCK = f".{_WORK}.lock"


def accelerator_for(table: StagesTable) -> Accelerator:
    """Devices and processes as `accelerate launch` set them, or those of this machine; and the precision asked for."""
    fast = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    wanted = {"auto": "bf16" if fast else "no", "float32": "no", "bfloat16": "bf16"}[table.precision]
    if torch.cuda.is_available():
        # cuBLAS reads it when it is first used; without it sums come in another order every time.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
    return Accelerator(mixed_precision=wanted)


def prepared_for(table: StagesTable, reference: str, *, offline: bool = False) -> Prepared:
    """Everything a training needs. Raises as `prepare` does."""
    return prepare(table, open_start(table, reference, offline=offline), reference=reference)


def train(
    prepared: Prepared,
    out: Path,
    *,
    accelerator: Accelerator,
    every: float = 300.0,
    tell: Callable[[Told], None] = lambda _: None,
    begun: Callable[[int], None] = lambda _: None,
) -> bool:
    """Go through all stages, or what is left of them, and write the model.

    Args:
        prepared: what to train.
        out: the model's directory.
        accelerator: decides about devices, processes and precision.
        every: seconds between checkpoints.
        tell: called with every step.
        begun: called with the number of steps that were done before.

    Returns:
        Whether there was anything to do.

    Raises:
        ConfigurationChanged: there is another training in the directory, or one with other data or settings.
        BadInput: it cannot be written, is in use, or holds something that was not trained here.
    """
    work = out / _WORK
    with _alone(out, accelerator):
        identity = {**prepared.identity, "processes": accelerator.num_processes}
        if _claimed(work, identity, accelerator):
            return False
        trainer = Trainer(
            prepared.start.network,
            prepared.stages,
            accelerator=accelerator,
            folder=work,
            seed=prepared.table.seed,
            pad=prepared.start.pad,
            rows_at_once=prepared.table.rows_at_once,
            held_out=prepared.held_out,
            clip=prepared.table.clip,
            every=every,
        )
        place = trainer.place
        begun(sum(len(stage.steps) for stage in prepared.stages[: place.stage]) + place.step)
        trainer.run(tell)
        _write(prepared, trainer, out, accelerator=accelerator)
        trainer.finish()
    return True


@contextmanager
def _alone(out: Path, accelerator: Accelerator) -> Iterator[None]:
    """Keep others out of the directory."""
    if not accelerator.is_main_process:
        yield
        return
    lock = FileLock(out / _LOCK, timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise BadInput(f"another process is training in {out}") from None
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}. Choose another --out.") from error
    try:
        yield
    finally:
        lock.release()
        (out / _LOCK).unlink(missing_ok=True)


def _claimed(work: Path, identity: Mapping[str, Any], accelerator: Accelerator) -> bool:
    """Whether the training is already finished; one that is not there yet is begun."""
    path = work / "training.json"
    accelerator.wait_for_everyone()
    stored = _stored(path)
    accelerator.wait_for_everyone()
    if stored is None:
        if strange := next(_strange(work), None):
            raise BadInput(f"{work.parent} holds {strange}, which no training here wrote. Choose another --out.")
        if accelerator.is_main_process:
            _note(path, {"identity": identity, "finished": False})
        accelerator.wait_for_everyone()
        return False
    if digest_of(stored["identity"]) != digest_of(identity):
        raise ConfigurationChanged(
            f"{work.parent} holds another training. Choose another --out, or go back. What changed:",
            differences(stored["identity"], json.loads(json.dumps(identity))),
        )
    return bool(stored["finished"])


def _strange(work: Path) -> Iterator[str]:
    """What lies in the directory before its training has begun, and might be written over."""
    for folder, ours in ((work.parent, {_WORK, _LOCK}), (work, {".training.json.new", "training.json"})):
        for path in sorted(folder.glob("*")):
            if path.name not in ours:
                yield str(path.relative_to(work.parent))


def _stored(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        stored: dict[str, Any] = json.loads(path.read_bytes())
        stored["identity"], stored["finished"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} does not say what was trained. Choose another --out, or remove the folder.") from error
    return stored


def _note(path: Path, value: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")


# --- the model's directory ---------------------------------------------------------------------


def _write(prepared: Prepared, trainer: Trainer, out: Path, *, accelerator: Accelerator) -> None:
    """Write everything beside, then put it in place file by file; a killed process does it again."""
    start, new = prepared.start, out / f".{_WORK}.new"
    state = accelerator.get_state_dict(trainer.network)
    if accelerator.is_main_process:
        shutil.rmtree(new, ignore_errors=True)
        network = accelerator.unwrap_model(trainer.network)
        network.load_state_dict(state)
        with quiet():
            network.cpu().to(start.dtype).save_pretrained(new)
        start.tokenizer.save_pretrained(new)
        log = read_log(out / _WORK / "losses.jsonl")
        (new / "loss.svg").write_text(loss_plot(log, [stage.name for stage in prepared.stages]), "utf-8")
        if profile := _profile(prepared):
            (new / "profile.toml").write_text(profile, "utf-8")
        weights = {path.name: digest_file(path, fresh=True) for path in sorted(new.glob("*.safetensors"))}
        processes, precision = accelerator.num_processes, _precision(accelerator)
        text = card(prepared, log, weights=weights, processes=processes, precision=precision)
        (new / "README.md").write_text(text, "utf-8")
        mode = (new / "README.md").stat().st_mode
        for path in sorted(new.iterdir()):
            path.chmod(mode)  # weights are written for their owner alone
            path.replace(out / path.name)
        new.rmdir()
        identity = {**prepared.identity, "processes": processes}
        stages = [counted_row(count) for count in prepared.counted]
        _note(out / _WORK / "training.json", {"identity": identity, "finished": True, "stages": stages})
    accelerator.wait_for_everyone()


def _precision(accelerator: Accelerator) -> str:
    mixed = str(accelerator.mixed_precision)
    return {"no": "float32", "bf16": "bfloat16"}.get(mixed, mixed)


def _profile(prepared: Prepared) -> str:
    """How orca-guard asks the model: as it asked the one it started from, with the message that it was trained with."""
    own = Path(prepared.reference) / "profile.toml"
    profile = tomllib.loads(own.read_text("utf-8")) if own.is_file() else {}
    systems = sorted({system for count in prepared.counted for system in count.systems})
    if len(systems) == 1:
        words = {"cautious": systems[0], "default": systems[0]}
        profile = {"name": "tuned", **profile, "system": {**profile.get("system", {}), **words}}
        profile["source"] = "The data that these weights were tuned on."
    return toml(profile) if profile else ""
