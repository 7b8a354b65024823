"""Opens a model: directory, tokenizer, profile, weights, adapter, each with a message of its own when it is wrong."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from orca_guard.contracts import ModelSpec
from orca_guard.errors import BadInput, ModelFailed
from orca_guard.identity import digest_files, digest_text
from orca_guard_hf import profiles
from orca_guard_hf.checks import check_tokenizer, check_vocabulary
from orca_guard_hf.classify import Classifiers
from orca_guard_hf.directory import Directory, inspect, read_json
from orca_guard_hf.growing import Limits
from orca_guard_hf.hub import download
from orca_guard_hf.loader import is_hub_id, looks_like_path
from orca_guard_hf.loading import check_loaded, refusing
from orca_guard_hf.model import DescribedModel, HFModel
from orca_guard_hf.network import Network, vocabulary_of
from orca_guard_hf.placement import Placement, dtype_named, place
from orca_guard_hf.prompting import Prompter

_OPTIONS = {"classifier_dtype"}
_EXACT = "float32"


def open_model(spec: ModelSpec) -> HFModel:
    """Load what the spec names. Errors as `HuggingFace.open` says."""
    placement = place(spec)
    found = _find(spec)
    model = _with_adapter(_load_weights(found.directory, spec, placement), spec)
    network = Network(model, device=placement.device)
    return HFModel(
        **_told(found, spec, model),
        network=network,
        batch_size=spec.batch_size,
        classifiers=Classifiers(
            device=placement.device,
            trust_remote_code=spec.trust_remote_code,
            offline=spec.offline,
            dtype=dtype_named(_classifier_dtype(spec)),
        ),
    )


def describe_model(spec: ModelSpec) -> DescribedModel:
    """Everything but the weights, whose digest is computed from their bytes. Errors as `HuggingFace.open` says."""
    placement = replace(place(spec), device_map="meta")
    found = _find(spec)
    return DescribedModel(**_told(found, spec, _load_weights(found.directory, spec, placement), fresh=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What there is before any weight is read."""

    directory: Directory
    prompter: Prompter
    commit: str


def _find(spec: ModelSpec) -> _Found:
    if unknown := sorted(spec.options.keys() - _OPTIONS):
        raise BadInput(f"the loader hf knows no option {', '.join(unknown)}. It knows {', '.join(_OPTIONS)}.")
    dtype_named(_classifier_dtype(spec))
    if spec.batch_size < 1:
        raise BadInput(f"batch_size is {spec.batch_size}. It must be at least 1.")
    path, commit = _locate(spec)
    directory = inspect(path)
    tokenizer = _load_tokenizer(directory, spec)
    profile = profiles.choose(spec.profile, directory=path, traits=profiles.traits_of(directory.config, tokenizer))
    check_tokenizer(tokenizer, profile, directory)
    return _Found(directory=directory, prompter=Prompter(tokenizer, profile), commit=commit)


def _classifier_dtype(spec: ModelSpec) -> str:
    """Of classifiers' weights: single precision unless asked, because thresholds are measured in it."""
    return str(spec.options.get("classifier_dtype", _EXACT))


def _told(found: _Found, spec: ModelSpec, model: Any, *, fresh: bool = False) -> dict[str, Any]:
    """What is known of a model, whether its weights are there or not."""
    check_vocabulary(found.prompter, vocabulary_of(model), found.directory.path)
    return {
        "name": spec.name or spec.reference,
        "identity": _identity(spec, found, model, fresh=fresh),
        "directory": found.directory.path,
        "prompter": found.prompter,
        "limits": Limits(stop_ids=_stop_ids(model, found.prompter), context=context_of(model.config)),
    }


def context_of(config: Any) -> int | None:
    """Tokens the architecture can hold, where its configuration says so."""
    config = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    return next((int(value) for name in names if isinstance(value := getattr(config, name, None), int)), None)


def _locate(spec: ModelSpec) -> tuple[Path, str]:
    path = Path(spec.reference).expanduser()
    if path.is_dir() or looks_like_path(spec.reference) or not is_hub_id(spec.reference):
        if spec.revision:
            raise BadInput(f"revision {spec.revision!r} means something on the hub, but {path} is a directory.")
        return path, ""
    return download(spec.reference, revision=spec.revision, offline=spec.offline, code=spec.trust_remote_code)


def _load_tokenizer(directory: Directory, spec: ModelSpec) -> Any:
    loader: Any = transformers.AutoTokenizer
    with refusing(f"the tokenizer in {directory.path}"):
        return loader.from_pretrained(
            directory.path, local_files_only=True, trust_remote_code=spec.trust_remote_code, **_manners(directory)
        )


def _manners(directory: Directory) -> dict[str, bool]:
    """How a directory with `tokenizer.model` alone was tokenised when it was published.

    The tokenizers of that time put a space in front of text after a special token unless `legacy` was switched off;
    transformers 5 takes a missing switch for off, and the model would read other ids than it was trained on.
    """
    path = directory.path
    old = (path / "tokenizer.model").is_file() and not (path / "tokenizer.json").is_file()
    stated = read_json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").is_file() else {}
    llama = str(stated.get("tokenizer_class", "")).startswith("LlamaTokenizer")
    return {"legacy": True} if old and llama and stated.get("legacy") is None else {}


def _load_weights(directory: Directory, spec: ModelSpec, placement: Placement) -> Any:
    """The network in evaluation mode, where it belongs.

    Raises:
        BadInput: damaged or missing weights, or a device map that does not fit.
        ModelFailed: not enough memory.
    """
    loader: Any = transformers.AutoModelForCausalLM
    with refusing(f"the model in {directory.path}"), _clearing(placement):
        model, info = loader.from_pretrained(
            directory.path,
            local_files_only=True,
            trust_remote_code=spec.trust_remote_code,
            use_safetensors=directory.safetensors,
            weights_only=True,
            output_loading_info=True,
            **placement.arguments(),
        )
        check_loaded(info, directory.path)
        placement.check_cover(model.state_dict())
        model = model if placement.device_map is not None else model.to(placement.device)
    if placement.temporary:
        weakref.finalize(model, shutil.rmtree, placement.offload_dir, ignore_errors=True)
    return model.eval()


@contextmanager
def _clearing(placement: Placement) -> Iterator[None]:
    """Leave no temporary folder behind when loading fails."""
    try:
        yield
    except BaseException:
        if placement.temporary:
            shutil.rmtree(placement.offload_dir, ignore_errors=True)
        raise


def _adapter_files(spec: ModelSpec) -> dict[str, Path]:
    """Every file of the adapter's directory."""
    adapter = Path(spec.adapter).expanduser()
    if not (adapter / "adapter_config.json").is_file():
        raise BadInput(f"{adapter} is no adapter directory: it has no adapter_config.json.")
    return {p.name: p for p in sorted(adapter.iterdir()) if p.is_file()}


def _with_adapter(model: Any, spec: ModelSpec) -> Any:
    if not spec.adapter:
        return model
    adapter = next(iter(_adapter_files(spec).values())).parent
    try:
        import peft  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise ModelFailed("adapters need the package peft: pip install 'orca-guard[adapters]'.") from error
    with refusing(f"the adapter in {adapter}"):
        return peft.PeftModel.from_pretrained(model, str(adapter), is_trainable=False).eval()


def _stop_ids(model: Any, prompter: Prompter) -> frozenset[int]:
    """Every id that ends an answer, whoever names it: configuration, tokenizer, template or profile."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    named = [*configured] if isinstance(configured, list) else [configured]
    named += [prompter.tokenizer.eos_token_id, prompter.closing()]
    named += [prompter.tokenizer.convert_tokens_to_ids(token) for token in prompter.profile.stop_tokens]
    return frozenset(int(i) for i in named if i is not None)


def _identity(spec: ModelSpec, found: _Found, model: Any, *, fresh: bool) -> dict[str, str]:
    parts = {
        **found.directory.digests(code=spec.trust_remote_code, fresh=fresh),
        "template": digest_text(found.prompter.template),
        "profile": digest_text(profiles.as_json(found.prompter.profile)),
        "adapter": digest_files(_adapter_files(spec), fresh=fresh) if spec.adapter else "",
        "dtype": str(model.dtype).removeprefix("torch."),
        "classifiers": "" if _classifier_dtype(spec) == _EXACT else _classifier_dtype(spec),
        "commit": found.commit,
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
        "torch": torch.__version__,
        "accelerate": version("accelerate"),
        "placement": _placement(model),
    }
    return {name: value for name, value in parts.items() if value}


def _placement(model: Any) -> str:
    layout = getattr(model, "hf_device_map", None)
    if not layout:
        return str(model.device)
    return ", ".join(f"{module or 'model'}={where}" for module, where in layout.items())
