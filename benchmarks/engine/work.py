"""What is measured: models with random weights, and rows of real benchmarks, made under a seed and kept in a folder."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["score", "generate", "classify"]
SEED = 20_261
MODELS = {"15M": (288, 6, 6), "110M": (768, 12, 12)}
"""Width, layers and heads of Llamas with a vocabulary of 16,384, input and output apart."""
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
TOXICITY = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One line of the table.

    Attributes:
        name: of the work.
        kind: of its requests.
        model: which.
        dtype: of our weights, and of the peer's unless it always uses single precision.
        rows: file of the requests.
        peers: who else does it.
    """

    name: str
    kind: Kind
    model: str
    dtype: str
    rows: str
    peers: tuple[str, ...]

    def asked(self) -> list[Any]:
        """The requests."""
        rows: list[Any] = json.loads(Path(self.rows).read_text("utf-8"))
        return rows

    def as_json(self) -> dict[str, Any]:
        """As it is handed to the processes that do it."""
        return asdict(self)


def works(folder: Path, data: Path, preamble: str, *, full: bool) -> Iterator[Work]:
    """Everything that is measured; what is missing in the folder is made."""
    _make_models(folder, data)
    shots = [("six-shot", preamble + "\n\n"), ("zero-shot", "")]
    sizes = {"15M": 790 if full else 60, "110M": 100 if full else 10}
    for label, header in shots:
        for model, count in sizes.items():
            rows = _keep(folder, f"truthfulqa-{label}-{count}", _truthfulqa(data, header, count))
            for dtype in ("float32", "bfloat16"):
                yield _work(folder, f"TruthfulQA MC1+MC2, {label}, {count} questions", "score", model, dtype, rows)
    choices = {"HellaSwag": _hellaswag, "ARC-Challenge by text": _arc, "MMLU by text": _mmlu}
    for name, read in choices.items():
        kept = _keep(folder, name, read(data)[: 400 if full else 60])
        yield _work(folder, f"{name}, zero-shot", "score", "15M", "float32", kept)
    for model, count in {"15M": 64, "110M": 64 if full else 32}.items():
        prompts = _keep(folder, f"gsm8k-{count}", _gsm8k(data, count))
        for dtype in ("float32", "bfloat16"):
            yield _work(folder, f"generation, {count} prompts", "generate", model, dtype, prompts)
    texts = _keep(folder, "comments", _comments(data, 1000 if full else 48))
    for dtype in ("float32", "bfloat16"):
        yield _work(folder, "toxicity", "classify", "BERT-base", dtype, texts)


def gpu_rows(folder: Path, data: Path, target: Path) -> None:
    """What a GPU is given, in a folder that can be carried to it: the tokenizer of the models here, and rows."""
    _make_models(folder, data)
    (target / "tokenizer").mkdir(parents=True, exist_ok=True)
    for name in TOKENIZER:
        (target / "tokenizer" / name).write_bytes((folder / "110M" / name).read_bytes())
    preamble = preamble_of(folder / "peer/bin/python")
    rows = {
        "TruthfulQA six-shot": _truthfulqa(data, preamble + "\n\n", 790),
        "TruthfulQA zero-shot": _truthfulqa(data, "", 790),
        "prompts": _gsm8k(data, 256),
    }
    (target / "rows.json").write_text(json.dumps(rows), "utf-8")


def preamble_of(peer: Path) -> str:
    """The six shots of TruthfulQA in the peer's installed package."""
    text = (task_files(peer) / "truthfulqa_mc1.yaml").read_text("utf-8")
    quoted = text.split("prompt_qa = '", 1)[1].split("'%}", 1)[0]
    return re.sub(r"\\\n\s*", "", quoted).replace("\\n", "\n")


def task_files(peer: Path) -> Path:
    """Where the peer's package has that task."""
    return next(peer.parents[1].glob("lib/python*/site-packages/lm_eval/tasks/truthfulqa"))


def _work(folder: Path, name: str, kind: Kind, model: str, dtype: str, rows: Path) -> Work:  # noqa: PLR0917
    peers = {"score": ("lm-eval",), "generate": ("lm-eval", "generate", "batching"), "classify": ("detoxify",)}[kind]
    return Work(name=name, kind=kind, model=str(folder / model), dtype=dtype, rows=str(rows), peers=peers)


def _keep(folder: Path, name: str, rows: list[Any]) -> Path:
    path = folder / f"{name.replace(' ', '-')}.json"
    path.write_text(json.dumps(rows), "utf-8")
    return path


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


# --- rows --------------------------------------------------------------------------------------


def _truthfulqa(data: Path, header: str, count: int) -> list[Any]:
    """Context and continuations of MC1 and MC2 of so many questions, in the peer's wording."""
    rows = json.loads((data / "truthfulqa/mc_task.json").read_text("utf-8"))
    chosen = random.Random(SEED).sample(rows, count) if count < len(rows) else rows  # noqa: S311
    return [
        [f"{header}Q: {row['question']}\nA:", [f" {choice}" for choice in row[kind]]]
        for row in chosen
        for kind in ("mc1_targets", "mc2_targets")
    ]


def _hellaswag(data: Path) -> list[Any]:
    rows = _lines(data / "hellaswag/hellaswag_val_sample.jsonl")
    return [[f"{row['activity_label']}: {row['ctx']}", [f" {ending}" for ending in row["endings"]]] for row in rows]


def _arc(data: Path) -> list[Any]:
    questions = [row["question"] for row in _lines(data / "arc/ARC-Challenge-Test.jsonl")]
    return [[f"Question: {q['stem']}\nAnswer:", [f" {choice['text']}" for choice in q["choices"]]] for q in questions]


def _mmlu(data: Path) -> list[Any]:
    import csv  # noqa: PLC0415  # only here

    found: list[Any] = []
    for path in sorted((data / "mmlu/test").glob("*.csv"))[::3]:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))[:40]
        found += ([f"{r['question'].strip()}\nAnswer:", [f" {r[f'choice{n}']}" for n in range(4)]] for r in rows)
    random.Random(SEED).shuffle(found)  # noqa: S311
    return found


def _gsm8k(data: Path, count: int = 64) -> list[Any]:
    """Prompts, and how long each answer gets: log-normal with median 52 and at most 128 tokens."""
    chance = random.Random(SEED)  # noqa: S311
    questions = [row["question"] for row in _lines(data / "gsm8k/test.jsonl")[:count]]
    return [[q, max(min(round(chance.lognormvariate(math.log(52), 0.6)), 128), 1)] for q in questions]


def _comments(data: Path, count: int) -> list[Any]:
    """Texts of log-normal length made of words of real comments."""
    import csv  # noqa: PLC0415
    import gzip  # noqa: PLC0415

    with gzip.open(data / "davidson_hate_offensive/labeled_data.csv.gz", "rt", encoding="utf-8") as file:
        words = " ".join(row["tweet"] for row in list(csv.DictReader(file))[:2000]).split()
    chance = random.Random(SEED)  # noqa: S311
    lengths = [max(min(round(chance.lognormvariate(math.log(24), 0.85)), 130), 3) for _ in range(count)]
    return [" ".join(chance.sample(words, length)) for length in lengths]


# --- models ------------------------------------------------------------------------------------


def _make_models(folder: Path, data: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "BERT-base/config.json").exists():
        for name, shape in MODELS.items():
            _make_llama(folder / name, data, shape)
        _make_bert(folder / "BERT-base", data)


def _corpus(data: Path) -> list[str]:
    texts = [json.dumps(row) for row in json.loads((data / "truthfulqa/mc_task.json").read_text("utf-8"))]
    texts += [row["question"] + row["answer"] for row in _lines(data / "gsm8k/test.jsonl")]
    return texts + [
        row["ctx"] + " ".join(row["endings"]) for row in _lines(data / "hellaswag/hellaswag_val_sample.jsonl")
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
