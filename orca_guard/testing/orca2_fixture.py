"""A model directory in exactly the published layout of Orca 2, with random small weights.

It holds what `microsoft/Orca-2-7b` holds, and no more: `tokenizer.model` without `tokenizer.json`, three added tokens
in `added_tokens.json`, `.bin` shards with their index, no chat template, and a `pad_token_id` that is not the pad's.
"""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

PIECES = 32_000
ADDED = {"<|im_end|>": 32_002, "<|im_start|>": 32_001, "[PAD]": 32_000}
_WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one
you were her all she there would their we him been has when who will more no if out so said what up its about
"""


def write_orca2(folder: Path, *, seed: int = 0, hidden: int = 16, layers: int = 2, context: int = 512) -> Path:
    """Write the directory and return it.

    Args:
        folder: made if it does not exist.
        seed: of the weights.
        hidden: width of the model; its 32,003 rows make it about 4 MB at 16.
        layers: how many.
        context: tokens it can hold (4,096 in the published model).
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(sentencepiece_model())
    for name, value in _small_files().items():
        _write_json(folder / name, value)
    _write_weights(folder, seed=seed, hidden=hidden, layers=layers, context=context)
    return folder


def sentencepiece_model(pieces: int = PIECES) -> bytes:
    """A byte-fallback BPE model trained on a few hundred sentences, filled up with unused pieces to `pieces`."""
    import sentencepiece  # noqa: PLC0415  # a command line that only mentions the kit should stay quick
    from sentencepiece import sentencepiece_model_pb2  # noqa: PLC0415

    proto: Any = sentencepiece_model_pb2  # its classes are made at run time

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_sentences()),
        model_writer=written,
        vocab_size=500,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        hard_vocab_limit=False,
        pad_id=-1,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
    )
    model = proto.ModelProto.FromString(written.getvalue())
    for number in range(len(model.pieces), pieces):
        model.pieces.add(piece=f"▁unused{number}", score=-1e6 - number, type=5)
    return bytes(model.SerializeToString())


def _sentences() -> list[str]:
    words, chance = _WORDS.split(), random.Random(0)  # noqa: S311  # no secret, only variety
    return [" ".join(chance.choices(words, k=12)).capitalize() + "." for _ in range(500)]


def _small_files() -> dict[str, Any]:
    return {
        "added_tokens.json": ADDED,
        "special_tokens_map.json": {
            "bos_token": _special("<s>"),
            "eos_token": _special("</s>"),
            "pad_token": "[PAD]",
            "unk_token": _special("<unk>"),
        },
        "tokenizer_config.json": {
            "add_bos_token": True,
            "add_eos_token": False,
            "bos_token": _special("<s>") | {"__type": "AddedToken"},
            "clean_up_tokenization_spaces": False,
            "eos_token": _special("</s>") | {"__type": "AddedToken"},
            "model_max_length": 4096,
            "pad_token": None,
            "padding_side": "right",
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
            "unk_token": _special("<unk>") | {"__type": "AddedToken"},
        },
        "generation_config.json": {
            "_from_model_config": True,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            "transformers_version": "4.33.1",
        },
    }


def _special(text: str) -> dict[str, Any]:
    return {"content": text, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}


def _write_weights(folder: Path, *, seed: int, hidden: int, layers: int, context: int) -> None:
    import torch  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    config = LlamaConfig(
        vocab_size=PIECES + len(ADDED),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        rms_norm_eps=1e-5,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
        architectures=["LlamaForCausalLM"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    _write_json(folder / "config.json", config.to_diff_dict() | {"model_type": "llama", "torch_dtype": "float32"})
    _write_shards(folder, {name: tensor.detach().clone() for name, tensor in model.state_dict().items()})


def _write_shards(folder: Path, tensors: dict[str, Any]) -> None:
    """Two pickled shards, the second with the output rows, as the published checkpoint is cut."""
    import torch  # noqa: PLC0415

    shards = {
        "pytorch_model-00001-of-00002.bin": [name for name in tensors if name != "lm_head.weight"],
        "pytorch_model-00002-of-00002.bin": ["lm_head.weight"],
    }
    for shard, names in shards.items():
        torch.save({name: tensors[name] for name in names}, folder / shard)
    _write_json(
        folder / "pytorch_model.bin.index.json",
        {
            "metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())},
            "weight_map": {name: shard for shard, names in shards.items() for name in names},
        },
    )


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", "utf-8")
