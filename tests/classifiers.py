"""Small classifiers with random weights, in the layouts that published ones have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WORDS = ("the", "fox", "is", "a", "fool", "and", "an", "idiot", "who", "sat", "in", "1921", "river", "mill", "opened")
DETOXIFY = ("toxicity", "severe_toxicity", "obscene", "identity_attack", "insult", "threat", "sexual_explicit")
IDENTITIES = ("male", "female", "black", "white")


def tokenizer(folder: Path, *, longest: int = 32) -> int:
    """A word-piece tokenizer of words and letters, saved into the folder; returns how many tokens it has."""
    from transformers import BertTokenizer

    letters = [chr(c) for c in range(97, 123)]
    tokens = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *letters,
        *(f"##{c}" for c in letters),
        ".",
        "[",
        "]",
    ]
    tokens = list(dict.fromkeys(tokens))
    made: Any = BertTokenizer(vocab={word: i for i, word in enumerate(tokens)}, model_max_length=longest)
    made.save_pretrained(folder)
    return len(tokens)


def classifier(
    folder: Path,
    labels: Sequence[str],
    *,
    cls: str = "BertForSequenceClassification",
    longest: int = 32,
    seed: int = 0,
    **more: Any,
) -> Path:
    """A BERT of two layers with these labels; configuration, weights and tokenizer in the folder."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=tokenizer(folder, longest=longest),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=longest,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        **more,
    )
    getattr(transformers, cls)(config).save_pretrained(folder)
    return folder


def checkpoint(folder: Path, base: Path, *, identities: Sequence[str] = IDENTITIES, **extra: Any) -> Path:
    """A checkpoint in detoxify's layout: a state dict, and how it was trained; its base is a directory here."""
    import torch
    import transformers

    outputs = len(DETOXIFY) + len(identities)
    torch.manual_seed(7)
    config: Any = transformers.BertConfig.from_pretrained(base, num_labels=outputs)
    model = transformers.BertForSequenceClassification(config)
    old = {"bert.embeddings.position_ids": torch.arange(config.max_position_embeddings)[None]}
    arguments = {"model_type": str(base), "model_name": "BertForSequenceClassification"}
    arch = {**arguments, "tokenizer_name": "BertTokenizer", "num_classes": outputs}
    names = {"classes": ["toxicity", "severe_toxic", "obscene", "identity_hate", "insult", "threat", "sexual_explicit"]}
    data: Mapping[str, Any] = {**names, "identity_classes": list(identities)}
    told = {"arch": {"args": arch}, "dataset": {"args": data}}
    path = folder / "toxic.ckpt"
    torch.save({"state_dict": {**old, **model.state_dict()}, "config": told, **extra}, path)
    return path
