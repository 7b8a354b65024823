"""Tiny models with random weights, made once for all tests here; nothing comes from a hub."""

from __future__ import annotations

import json
import shutil
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from orca_guard.contracts import ModelSpec
from orca_guard.testing.orca2_fixture import write_orca2
from orca_guard.types import Decoding, Generate, Message, Partial
from orca_guard_hf.loader import HuggingFace
from orca_guard_hf.model import HFModel
from orca_guard_hf.network import Network

TEXT = "the quick brown fox jumps over a lazy dog while seven wizards box with five dozen jugs of liquor"
WORDS = tuple(TEXT.split())
SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

Opening = Callable[..., HFModel]


def byte_level(folder: Path, *, template: str = CHATML, special: Sequence[str] = SPECIAL, **more: Any) -> Any:
    """A byte-level BPE tokenizer, as most models have now, saved into `folder`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([" ".join(WORDS), " ".join(reversed(WORDS))] * 20, trainer)
    named = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"} | more
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(tokenizer_object=backend, **named)
    tokenizer.chat_template = template or None
    tokenizer.save_pretrained(folder)
    return tokenizer


def llama(folder: Path, *, vocabulary: int, seed: int = 0, cls: str = "LlamaForCausalLM", **more: Any) -> None:
    """Random weights with enough spread that answers vary, saved as safetensors into `folder`."""
    import transformers

    settings: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "initializer_range": 0.4,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 3,
    }
    torch.manual_seed(seed)
    getattr(transformers, cls)(transformers.LlamaConfig(**(settings | more))).save_pretrained(folder)


@pytest.fixture(scope="session", autouse=True)
def _calm() -> Iterable[None]:
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chat model with a template of its own."""
    folder = tmp_path_factory.mktemp("tiny")
    llama(folder, vocabulary=len(byte_level(folder)))
    return folder


@pytest.fixture(scope="session")
def orca2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Orca 2's published layout."""
    return write_orca2(tmp_path_factory.mktemp("orca2") / "Orca-2-0b")


@pytest.fixture(scope="session")
def model(tiny: Path) -> HFModel:
    return open_model(tiny)


@pytest.fixture(scope="session")
def orca(orca2: Path) -> HFModel:
    return open_model(orca2)


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a model directory that a test may damage."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy


def open_model(folder: Path | str, **more: Any) -> HFModel:
    opened = HuggingFace().open(ModelSpec(reference=str(folder), **{"device_map": "cpu", **more}))
    assert isinstance(opened, HFModel)
    return opened


def user(text: str, *, system: str | None = None, tokens: int = 12, **more: Any) -> Generate:
    messages = (Message("user", text),) if system is None else (Message("system", system), Message("user", text))
    decoding = more.pop("decoding", Decoding(max_new_tokens=tokens))
    return Generate(messages=messages, decoding=decoding, **more)


def ask(model: HFModel, *requests: Any) -> list[Any]:
    """The replies, in the order of the requests."""
    replies = [(request, reply) for request, reply in model.run(requests) if not isinstance(reply, Partial)]
    assert sorted(id(request) for request, _ in replies) == sorted(map(id, requests))
    by_request = {id(request): reply for request, reply in replies}
    return [by_request[id(request)] for request in requests]


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


class Scripted(Network):
    """A network that says one prescribed text, the same in every row."""

    def __init__(self, tokens: Sequence[int], *, vocabulary: int, pause: Callable[[], None] = lambda: None) -> None:
        super().__init__(_Nothing(), device=torch.device("cpu"))
        self._takes, self.remembers = frozenset({"past_key_values"}), True
        self._tokens, self._vocabulary, self._pause = tokens, vocabulary, pause

    def forward(self, ids: Any, mask: Any, *, past: Any = None, keep: int = 0, **more: Any) -> Any:
        self._pause()
        step = past or 0
        logits = torch.full((len(ids), 1, self._vocabulary), -9.0)
        logits[:, :, self._tokens[step % len(self._tokens)]] = 9.0
        return types.SimpleNamespace(logits=logits, past_key_values=step + 1)


class _Nothing:
    def forward(self) -> None: ...
