"""Detoxify's checkpoints as classifier directories: found or fetched, checked, converted once, kept by digest.

This is the one module here that imports torch, and only while a checkpoint is converted: whoever serves classifiers
reads directories, with whichever weights are in them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock

from orca_guard.errors import BadInput, DataAbsent, ModelFailed, OrcaGuardError
from orca_guard.identity import digest_file, digest_of

PUBLISHED = ("original", "unbiased", "multilingual", "original-small", "unbiased-small")
"""Names of detoxify's published models (`detoxify.detoxify.MODEL_URLS`)."""

SOURCE = "orca-guard-source.json"
"""In a converted directory: digest and names of what it was made from."""

_RENAMED = {"toxic": "toxicity", "identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}
"""As detoxify renames classes, so that all its models speak of the same."""

_FORMAT = 1


def directory_of(
    reference: str, *, base: str | None = None, sha256: str = "", trust_pickle: bool = False, offline: bool = False
) -> str:
    """The classifier directory that a reference stands for; a hub id is returned as it is.

    Args:
        reference: a directory, a detoxify checkpoint, the name of a published detoxify model, or a hub id.
        base: directory with the configuration and tokenizer that a checkpoint was trained with; None looks for the
            directory or hub id that the checkpoint names.
        sha256: what a checkpoint's digest has to be, in hexadecimal; empty takes any, but that of a published model
            has to begin as its file name says.
        trust_pickle: run what a checkpoint holds besides weights, where torch refuses to read it without.
        offline: never touch the network.

    Raises:
        BadInput: the checkpoint, its digest or its layout is not what it should be.
        DataAbsent: a published model is not on this machine, and the network may not be touched.
        ModelFailed: it could not be fetched.
    """
    path = Path(reference).expanduser()
    if path.is_dir():
        return str(path)
    if reference in PUBLISHED:
        path = _published(reference, offline=offline)
    elif not path.is_file():
        if reference.count("/") == 1 and not reference.startswith(("/", ".", "~")):
            return reference
        raise BadInput(
            f"there is no classifier {reference!r}: give a directory, a checkpoint, a hub id (owner/name) or one of "
            f"{', '.join(PUBLISHED)}."
        )
    digest = digest_file(path)
    if sha256 and digest != f"sha256:{sha256.removeprefix('sha256:')}":
        raise BadInput(f"{path} has {digest}, and not the digest that was asked for")
    return str(_converted(path, digest, base=base, trust_pickle=trust_pickle, offline=offline))


def cache() -> Path:
    """Where converted checkpoints are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "orca-guard" / "toxicity"


# --- published models ----------------------------------------------------------------------------


def _published(name: str, *, offline: bool) -> Path:
    """The checkpoint of a published model, where detoxify itself keeps it, or fetched to there."""
    import torch  # noqa: PLC0415  # as the module says
    from detoxify.detoxify import MODEL_URLS  # noqa: PLC0415

    url: str = MODEL_URLS[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        if offline:
            raise DataAbsent(
                f"detoxify's model {name!r} is not on this machine, and offline nothing is fetched. Put the file "
                f"{path.name} into {path.parent}, or give a local checkpoint or directory."
            )
        _fetch(url, path)
    wanted = path.stem.rpartition("-")[2]
    if not digest_file(path).removeprefix("sha256:").startswith(wanted):
        raise BadInput(f"{path} is not detoxify's {name!r}: its digest should begin with {wanted}. Delete it.")
    return path


def _fetch(url: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            with httpx.stream("GET", url, follow_redirects=True, timeout=60) as reply:
                reply.raise_for_status()
                for part in reply.iter_bytes():
                    file.write(part)
        except (httpx.HTTPError, OSError) as error:
            Path(file.name).unlink()
            raise ModelFailed(
                f"{url} could not be fetched: {error}. Check the network, or give a local checkpoint or directory."
            ) from error
    Path(file.name).replace(path)


# --- converting ----------------------------------------------------------------------------------


def _converted(path: Path, digest: str, *, base: str | None, trust_pickle: bool, offline: bool) -> Path:
    """The directory made from a checkpoint: the one that was made before, where nothing has changed."""
    key = digest_of({"format": _FORMAT, "checkpoint": digest, "base": _base_digest(base)})
    folder = cache() / key.removeprefix("sha256:")[:32]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / SOURCE).is_file():
            with _refusing(path), tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                made = Path(temporary) / "made"
                _convert(_read(path, trust_pickle=trust_pickle), made, path=path, base=base, offline=offline)
                (made / SOURCE).write_text(json.dumps({"checkpoint": path.name, "digest": digest}) + "\n", "utf-8")
                shutil.rmtree(folder, ignore_errors=True)
                made.replace(folder)
    return folder


def _base_digest(base: str | None) -> str:
    if base is None:
        return ""
    if not (Path(base).expanduser() / "config.json").is_file():
        raise BadInput(f"{base} is no base of a checkpoint: give the directory with its config.json and tokenizer.")
    files = sorted(p for p in Path(base).expanduser().iterdir() if p.suffix in {".json", ".txt", ".model"})
    return digest_of({p.name: digest_file(p) for p in files})


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Whatever a damaged or strange checkpoint makes torch and transformers raise is one line about it."""
    try:
        yield
    except OrcaGuardError:
        raise
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(f"{path} cannot be made a classifier directory: {first}") from error


def _read(path: Path, *, trust_pickle: bool) -> Mapping[str, Any]:
    """What is in a checkpoint; with more than weights and plain values in it, only where that is trusted."""
    import torch  # noqa: PLC0415  # as the module says

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if not trust_pickle:
            raise BadInput(
                f"{path} is damaged, or holds more than weights, which is not unpickled: it could run anything. If you "
                "trust who made it, say trust_pickle = true in the guard's options."
            ) from error
        loaded = torch.load(path, map_location="cpu", weights_only=False)  # asked for by name
    if not isinstance(loaded, Mapping) or not {"state_dict", "config"} <= loaded.keys():
        raise BadInput(f"{path} is no checkpoint of detoxify: it has no state_dict and config.")
    return loaded


def _convert(loaded: Mapping[str, Any], folder: Path, *, path: Path, base: str | None, offline: bool) -> None:
    """Write configuration, weights and tokenizer as transformers reads them.

    Detoxify's networks are transformers' own, so nothing is computed here: names are put where they belong. The first
    outputs are the classes; those after them, identities that it never shows, keep their names and do not count.
    """
    import transformers  # noqa: PLC0415  # as the module says

    arch, data = _arguments(loaded, "arch", path), _arguments(loaded, "dataset", path)
    source = str(Path(base).expanduser()) if base is not None else str(arch.get("model_type"))
    names = _names(data, int(arch["num_classes"]))
    make, load_tokenizer = _of_transformers(str(arch["model_name"]), transformers), transformers.AutoTokenizer
    local = offline or base is not None
    more: Any = {"local_files_only": local}
    try:
        config = make.config_class.from_pretrained(source, **more)
        tokenizer = load_tokenizer.from_pretrained(source, **more)
    except (OSError, ValueError) as error:
        raise ModelFailed(
            f"{path} was trained from {arch.get('model_type')!r}, whose configuration and tokenizer it does not hold "
            'and which cannot be had here. Give the directory that has them in the guard\'s options: base = "...".'
        ) from error
    config.update(
        {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: at for at, name in enumerate(names)},
            "problem_type": "multi_label_classification",
        }
    )
    model = make(config)
    weights = {key: value for key, value in loaded["state_dict"].items() if not key.endswith("position_ids")}
    missing, strange = model.load_state_dict(weights, strict=False)
    if missing or strange:
        raise BadInput(f"the weights in {path} do not fit {source}: {(*missing, *strange)[0]!r} is missing or too much")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _arguments(loaded: Mapping[str, Any], part: str, path: Path) -> Mapping[str, Any]:
    try:
        arguments = loaded["config"][part]["args"]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path} is no checkpoint of detoxify: its config has no {part}.args.") from error
    if not isinstance(arguments, Mapping):
        raise BadInput(f"{path} is no checkpoint of detoxify: its config's {part}.args are no table.")
    return arguments


def _names(data: Mapping[str, Any], outputs: int) -> list[str]:
    classes = [_RENAMED.get(str(name), str(name)) for name in data["classes"]]
    identities = [str(name) for name in data.get("identity_classes") or ()]
    names = [*classes, *(name for name in identities if name not in classes)][:outputs]
    return [*names, *(f"unnamed_{n}" for n in range(len(names), outputs))]


def _of_transformers(name: str, transformers: Any) -> Any:
    """A class by the name that a checkpoint gives it: a classifier's, and nothing else in transformers."""
    if not name.endswith("ForSequenceClassification") or not hasattr(transformers, name):
        raise BadInput(f"the checkpoint asks for {name!r}, which is no sequence classifier of transformers")
    return getattr(transformers, name)
