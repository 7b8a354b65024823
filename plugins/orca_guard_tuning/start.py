"""The model that a training starts from, ready to be trained and written again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from orca_guard.errors import BadInput
from orca_guard_tuning.stages import StagesTable

STARTS, ENDS = "<|im_start|>", "<|im_end|>"
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML (OpenAI, 2023), as transformers wants it."""


@dataclass(frozen=True, slots=True)
class Start:
    """A network in float32, its tokenizer, and the type its weights were stored in."""

    network: Any
    tokenizer: Any
    dtype: torch.dtype

    @property
    def pad(self) -> int:
        """A token to fill rows with: it is never attended to, so any will do."""
        pad = self.tokenizer.pad_token_id
        return pad if pad is not None else self.tokenizer.eos_token_id or 0

    @property
    def positions(self) -> int | None:
        """Tokens the network has positions for, where its configuration says."""
        return getattr(self.network.config.get_text_config(), "max_position_embeddings", None)


def open_start(table: StagesTable, reference: str, *, offline: bool) -> Start:
    """Load tokenizer and network. Code that comes with a model is never run.

    Raises:
        BadInput: it does not load, or is not of the kind that `revision` or `template` is for.
    """
    here = Path(reference).is_dir()
    if table.revision and here:
        raise BadInput(
            f"revision {table.revision!r} is of a hub id, and start {table.start!r} is the directory {reference}. "
            "Leave revision out, or start from a hub id."
        )
    where: dict[str, Any] = {"local_files_only": offline or here}
    if table.revision:
        where["revision"] = table.revision
    loader: Any = AutoModelForCausalLM
    try:
        tokenizer = AutoTokenizer.from_pretrained(reference, **where)
        with quiet():
            network, found = loader.from_pretrained(
                reference, dtype="auto", weights_only=True, output_loading_info=True, **where
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise BadInput(f"cannot start from {reference}: {type(error).__name__}: {error}") from error
    if lacking := sorted(found["missing_keys"]):
        raise BadInput(
            f"{reference} lacks weights, and training would start from noise there: {', '.join(lacking[:3])}"
        )
    dtype = network.dtype
    torch.nn.Module.to(network, torch.float32)
    if table.template == "chatml":
        _check_untold(tokenizer, reference)
        _give_chatml(network, tokenizer)
    _say_how_answers_end(network, tokenizer)
    return Start(network, tokenizer, dtype)


@contextmanager
def quiet() -> Iterator[None]:
    """No bars of transformers meanwhile."""
    noise: Any = logging
    shown = noise.is_progress_bar_enabled()
    noise.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            noise.enable_progress_bar()


def _check_untold(tokenizer: Any, reference: str) -> None:
    """Raises `BadInput` where there is a template already: what the model has learnt to read is not taken away."""
    if tokenizer.chat_template and tokenizer.chat_template != CHATML:
        raise BadInput(
            f'{reference} has a chat template of its own, and template = "chatml" is for one that has none. '
            "Leave template out to keep its own."
        )


def _give_chatml(network: Any, tokenizer: Any) -> None:
    """ChatML's tokens and template for a base model; the new rows of its embeddings begin as the mean of the others."""
    torch.manual_seed(0)  # what transformers draws for new rows
    tokenizer.add_special_tokens({"additional_special_tokens": [STARTS, ENDS]}, replace_extra_special_tokens=False)
    tokenizer.chat_template = CHATML
    if len(tokenizer) > network.get_input_embeddings().num_embeddings:
        network.resize_token_embeddings(len(tokenizer))


def _say_how_answers_end(network: Any, tokenizer: Any) -> None:
    """The generation configuration stops at the token that the template closes an answer with."""
    end = closing(tokenizer)
    settings = network.generation_config
    known = settings.eos_token_id
    known = [] if known is None else known if isinstance(known, list) else [known]
    if end is not None and end not in known:
        settings.eos_token_id = [*known, end]
    if settings.pad_token_id is None:
        settings.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end


def closing(tokenizer: Any) -> int | None:
    """The token that the chat template writes after an answer."""
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    ids = tokenizer.encode(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)
    controls = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    asked = tokenizer.encode(
        tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True), add_special_tokens=False
    )
    end: int | None = next((i for i in ids[len(asked) :] if i in controls), tokenizer.eos_token_id)
    return end
