"""What lies in a model directory: which files decide its answers, whether they are whole, and their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from orca_guard.errors import BadInput
from orca_guard.identity import digest_files

TOKENIZER_FILES = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_CONFIG_FILES = ("config.json", "generation_config.json")
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A model directory that has everything a model needs.

    Attributes:
        path: of the directory.
        config: `config.json`.
        weights: files by name, the index first where there is one; safetensors before pickles.
    """

    path: Path
    config: Mapping[str, Any]
    weights: Mapping[str, Path]

    @property
    def safetensors(self) -> bool:
        """Whether no pickle is involved."""
        return all(".bin" not in name for name in self.weights)

    def digests(self, *, code: bool = False, fresh: bool = False) -> dict[str, str]:
        """Digests of weights, tokenizer files and configuration; of Python files too when they are run.

        Args:
            code: whether Python files in the directory are run.
            fresh: compute them whatever is remembered.
        """
        groups = {
            "weights": self.weights,
            "tokenizer": self._present(TOKENIZER_FILES),
            "config": self._present(_CONFIG_FILES),
        }
        if code:
            groups["code"] = {p.name: p for p in sorted(self.path.glob("*.py"))}
        return {name: digest_files(files, fresh=fresh) for name, files in groups.items()}

    def _present(self, names: tuple[str, ...]) -> dict[str, Path]:
        return {name: self.path / name for name in names if (self.path / name).is_file()}


def inspect(path: Path) -> Directory:
    """Look a directory over before anything is loaded from it.

    Raises:
        BadInput: it does not exist, is no model, lacks a file, or has one that is cut short.
    """
    if not path.is_dir():
        what = "is a file, not a directory" if path.exists() else "does not exist"
        raise BadInput(f"model directory {path} {what}. Give the directory that holds config.json.")
    if not (path / "config.json").is_file():
        adapter = (path / "adapter_config.json").is_file()
        hint = " It holds an adapter: open the model it was made for, and give this as its adapter." if adapter else ""
        raise BadInput(f"{path} is no model directory: it has no config.json.{hint}")
    config = read_json(path / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise BadInput(f"{path / 'config.json'} names no model_type, so nobody knows which architecture it is.")
    if not any((path / name).is_file() for name in _VOCABULARIES):
        raise BadInput(f"{path} has no tokenizer: none of {', '.join(_VOCABULARIES)} is there.")
    weights = _find_weights(path)
    _check_whole(weights)
    return Directory(path=path, config=config, weights=weights)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        BadInput: it cannot be read or is none.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadInput(f"{path} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} holds no JSON object.")
    return value


def _find_weights(path: Path) -> dict[str, Path]:
    """The files transformers would load, in its order of preference."""
    first = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if first is None:
        raise BadInput(f"{path} has no weights: none of {', '.join(_WEIGHTS)} is there.")
    if first.suffix != ".json":
        return {first.name: first}
    shards = read_json(first).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise BadInput(f"{first} lists no shards.")
    return {first.name: first} | {name: _shard(path, str(name)) for name in sorted(set(shards.values()))}


def _shard(path: Path, name: str) -> Path:
    if Path(name).name != name or not (path / name).is_file():
        raise BadInput(f"{path} lacks the weights file {name!r} that its index names. Copy or download it again.")
    return path / name


def _check_whole(weights: Mapping[str, Path]) -> None:
    """Open what can be opened cheaply: a safetensors header knows how long its file must be."""
    for path in weights.values():
        if path.suffix == ".safetensors":
            try:
                with safe_open(path, framework="pt"):
                    pass
            except (SafetensorError, OSError) as error:
                raise BadInput(
                    f"weights file {path} is damaged or cut short: {error}. Copy or download it again."
                ) from error
