"""Tiny models of many architectures: those that packed forwards fit, and those they must not touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.plugins.orca_guard_hf.conftest import byte_level

_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
    "initializer_range": 0.4,
}
FITTING: dict[str, dict[str, Any]] = {
    "Llama": {**_SMALL, "num_key_value_heads": 2},
    "Qwen2": {**_SMALL, "num_key_value_heads": 2},
    "GPT2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256, "initializer_range": 0.4},
    "GPTNeoX": _SMALL,
    "OPT": {
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "init_std": 0.4,
    },
}
UNFIT: dict[str, dict[str, Any]] = {
    "Bloom": {"hidden_size": 32, "n_layer": 3, "n_head": 4, "initializer_range": 0.4},
    "Falcon": {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "alibi": True,
        "initializer_range": 0.4,
    },
    "Mpt": {"d_model": 32, "n_layers": 3, "n_heads": 4, "max_seq_len": 256, "initializer_range": 0.4},
    "Mistral": {**_SMALL, "num_key_value_heads": 2, "sliding_window": 24},
    "Gemma2": {**_SMALL, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 24},
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 2},
}


def write(folder: Path, name: str, **more: Any) -> Path:
    """A directory with a model of this architecture, which opens as any other."""
    import torch
    import transformers

    vocabulary = len(byte_level(folder))
    settings = {**FITTING, **UNFIT}[name] | {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3} | more
    config = getattr(transformers, f"{name}Config")(vocab_size=vocabulary, **settings)
    torch.manual_seed(7)
    getattr(transformers, f"{name}{'LMHeadModel' if name == 'GPT2' else 'ForCausalLM'}")(config).save_pretrained(folder)
    return folder
