"""Models with random weights, and their tokenizers, made under a seed and kept in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.engine.rows import SEED, lines

MODELS = {"15M": (288, 6, 6), "110M": (768, 12, 12)}
"""Width, layers and heads of Llamas with a vocabulary of 16,384, input and output apart."""
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TOXICITY = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack")


def make_models(folder: Path, data: Path) -> None:
    """Two Llamas and a BERT, unless they are there."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "BERT-base/config.json").exists():
        for name, shape in MODELS.items():
            _make_llama(folder / name, data, shape)
        _make_bert(folder / "BERT-base", data)


def _corpus(data: Path) -> list[str]:
    texts = [json.dumps(row) for row in json.loads((data / "truthfulqa/mc_task.json").read_text("utf-8"))]
    texts += [row["question"] + row["answer"] for row in lines(data / "gsm8k/test.jsonl")]
    return texts + [
        row["ctx"] + " ".join(row["endings"]) for row in lines(data / "hellaswag/hellaswag_val_sample.jsonl")
    ]


def _make_llama(folder: Path, data: Path, shape: tuple[int, int, int]) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: PLC0415
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  # the table is printed without it

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer: Any = trainers.BpeTrainer(
        vocab_size=16_384, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(_corpus(data), trainer)
    make: Any = PreTrainedTokenizerFast
    tokenizer = make(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    write_llama(folder, shape, folder)


def write_llama(folder: Path, shape: tuple[int, int, int], tokenizer: Path) -> Path:
    """A Llama with random weights under the seed, beside a copy of a tokenizer's files."""
    import torch  # noqa: PLC0415
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for path in (tokenizer / name for name in TOKENIZER) if tokenizer != folder else ():
        (folder / path.name).write_bytes(path.read_bytes())
    width, layers, heads = shape
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=16_384,
        hidden_size=width,
        intermediate_size=width * 8 // 3 // 32 * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def _make_bert(folder: Path, data: Path) -> None:
    import torch  # noqa: PLC0415
    from tokenizers import BertWordPieceTokenizer  # noqa: PLC0415
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer  # noqa: PLC0415

    pieces: Any = BertWordPieceTokenizer()
    pieces.train_from_iterator(_corpus(data), vocab_size=20_000, show_progress=False)
    make: Any = BertTokenizer
    make(tokenizer_object=pieces._tokenizer, model_max_length=512).save_pretrained(folder)  # noqa: SLF001
    torch.manual_seed(SEED)
    labels = dict(enumerate(TOXICITY))
    config = BertConfig(
        id2label=labels, label2id={v: k for k, v in labels.items()}, problem_type="multi_label_classification"
    )
    BertForSequenceClassification(config).save_pretrained(folder)
