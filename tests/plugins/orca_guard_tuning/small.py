"""A small world to tune in: comparisons and colours, a teacher that knows them, a network that knows nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner, Result
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from orca_guard.cli import cli
from orca_guard_tuning.start import CHATML

COLOURS = {"grass": "green", "snow": "white", "coal": "black", "blood": "red", "the sky": "blue", "a lemon": "yellow"}

TEACHER = '''
"""Knows everything, but compares numbers right only when it may write them down."""

COLOURS = {colours!r}


def answer(item, strategy, request):
    if item.groups["category"] == "colours":
        gold, work = item.gold[0], "It is known."
    else:
        gold, work = item.gold[0], " then ".join(sorted(item.question.prompt.split()[1:4:2], key=int))
        if strategy == "direct":
            gold = "yes"
    if strategy == "direct":
        return gold
    if strategy == "recall-generate":
        return None
    return f"{{work}}\\nAnswer: {{gold}}"
'''


def comparison(first: int, second: int) -> dict[str, Any]:
    """Whether one number is above another, as a row of a prompt file."""
    gold = "yes" if first > second else "no"
    return row(f"c-{first}-{second}", f"Is {first} above {second} ?", gold, "comparisons")


PHRASINGS = ("What colour is {} ?", "Say the colour of {} !", "Colour of {} ?", "Now {} : its colour ?")


def colour(thing: str, phrasing: int = 0) -> dict[str, Any]:
    """What colour something is."""
    return row(f"k-{thing}-{phrasing}", PHRASINGS[phrasing].format(thing), COLOURS[thing], "colours")


def row(name: str, prompt: str, gold: str, category: str) -> dict[str, Any]:
    return {"id": name, "prompt": prompt, "form": "span", "gold": gold, "groups": {"category": category}}


def pairs(*, seed: int = 0, top: int = 16) -> list[tuple[int, int]]:
    """All pairs of different numbers below `top`, shuffled."""
    found = [(a, b) for a in range(top) for b in range(top) if a != b]
    random.Random(seed).shuffle(found)
    return found


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    return path


def write_teacher(folder: Path) -> Path:
    path = folder / "teacher.py"
    path.write_text(TEACHER.format(colours=COLOURS), "utf-8")
    return path


def write_start(folder: Path, *, texts: Iterable[str], width: int = 64, layers: int = 2, **config: Any) -> Path:
    """A model directory with random weights and a tokenizer of these texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast
    fast = fast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
        **config,
    )
    LlamaForCausalLM(shape).save_pretrained(folder)
    return folder


def tune(*arguments: str | Path, code: int = 0) -> Result:
    """`orca-guard tune` with these arguments, and the exit code it must end with."""
    from orca_guard.errors import OrcaGuardError

    done = CliRunner().invoke(cli, ["tune", *map(str, arguments)], standalone_mode=False)
    ended: Any = done.return_value
    if isinstance(done.exception, OrcaGuardError):
        ended = done.exception.exit_code
    elif done.exception is not None:
        raise done.exception
    assert int(ended or 0) == code, f"{ended}: {done.output}{done.exception}"
    return done
