from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from orca_guard.errors import BadInput, ModelFailed
from orca_guard.types import Classification, Classify
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.conftest import WORDS, ask, open_model, user

TEXTS = ("the quick brown fox", "a lazy dog jumps over seven wizards", "liquor")
PAIRS = (("the fox jumps", "the dog is lazy"), ("seven wizards", "box"))
LABELS = {0: "kind", 1: "rude", 2: "cruel"}


def bert(folder: Path, *, cls: str, labels: dict[int, str], seed: int = 0, **more: Any) -> Path:
    """A small classifier with a word-piece tokenizer, as most toxicity and entailment models have."""
    import transformers
    from transformers import BertConfig, BertTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(97, 123)]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *letters,
        *(f"##{c}" for c in letters),
        "[",
        "]",
    ]
    vocabulary = list(dict.fromkeys(vocabulary))
    tokenizer: Any = BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        initializer_range=0.5,
        id2label=labels,
        label2id={label: i for i, label in labels.items()},
        **more,
    )
    getattr(transformers, cls)(config).save_pretrained(folder)
    return folder


def by_hand(folder: Path, *texts: str | tuple[str, str], cls: str) -> list[torch.Tensor]:
    """Logits one text at a time, straight from transformers."""
    import transformers
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model = getattr(transformers, cls).from_pretrained(folder).eval()
    rows = []
    for text in texts:
        encoded = tokenizer(*([text] if isinstance(text, str) else text), return_tensors="pt")
        with torch.no_grad():
            rows.append(model(**encoded).logits[0])
    return rows


SEQUENCE, TOKEN = "BertForSequenceClassification", "BertForTokenClassification"


@pytest.mark.parametrize("texts", [TEXTS, PAIRS])
@pytest.mark.parametrize(
    ("more", "labels", "function", "wanted"),
    [
        ({}, LABELS, "auto", "softmax"),
        ({"problem_type": "multi_label_classification"}, LABELS, "auto", "sigmoid"),
        ({"problem_type": "single_label_classification"}, LABELS, "auto", "softmax"),
        ({}, {0: "toxic"}, "auto", "sigmoid"),
        ({"problem_type": "regression"}, {0: "score"}, "auto", "none"),
        ({}, LABELS, "sigmoid", "sigmoid"),
        ({}, LABELS, "none", "none"),
    ],
)
def test_sequence_scores_are_transformers_own(  # noqa: PLR0917
    model: HFModel, tmp_path: Path, texts: Any, more: Any, labels: dict[int, str], function: Any, wanted: str
) -> None:
    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=labels, **more)
    (reply,) = ask(model, Classify(model=str(folder), texts=texts, function=function))
    assert isinstance(reply, Classification)
    for scores, logits in zip(reply.scores, by_hand(folder, *texts, cls=SEQUENCE), strict=True):
        expected = {"softmax": logits.softmax(-1), "sigmoid": logits.sigmoid(), "none": logits}[wanted]
        assert list(scores) == list(labels.values())
        assert torch.tensor(list(scores.values())).allclose(expected, atol=1e-5)


def test_token_scores_carry_their_characters(model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "t", cls=TOKEN, labels={0: "supported", 1: "invented"})
    (reply,) = ask(model, Classify(model=str(folder), texts=TEXTS))
    for text, spans, logits in zip(TEXTS, reply.spans, by_hand(folder, *TEXTS, cls=TOKEN), strict=True):
        assert "".join(text[span.start : span.end] for span in spans) == text.replace(" ", "")
        own = logits[1:-1].softmax(-1)
        assert torch.tensor([list(span.scores.values()) for span in spans]).allclose(own, atol=1e-5)


def test_of_a_pair_the_second_text_has_the_spans(model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "t", cls=TOKEN, labels={0: "supported", 1: "invented"})
    (reply,) = ask(model, Classify(model=str(folder), texts=PAIRS))
    for (_, answer), spans in zip(PAIRS, reply.spans, strict=True):
        assert "".join(answer[span.start : span.end] for span in spans) == answer.replace(" ", "")


def test_a_classifier_is_loaded_once_per_digest(tiny: Path, tmp_path: Path) -> None:
    model = open_model(tiny)
    one = bert(tmp_path / "one", cls=SEQUENCE, labels=LABELS)
    same, other = (
        bert(tmp_path / name, cls=SEQUENCE, labels=LABELS, seed=n) for n, name in enumerate(("same", "other"))
    )
    for folder in (one, same, one):
        ask(model, Classify(model=str(folder), texts=TEXTS))
    assert len(model.classifiers._loaded) == 1
    ask(model, Classify(model=str(other), texts=TEXTS))
    assert len(model.classifiers._loaded) == 2


def test_a_text_too_long_is_said_and_not_cut(model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=LABELS)
    fits, over = "fox " * 22, "fox " * 23
    (reply,) = ask(model, Classify(model=str(folder), texts=(fits,)))
    assert isinstance(reply, Classification)
    (failure,) = ask(model, Classify(model=str(folder), texts=(fits, over)))
    assert isinstance(failure.error, BadInput)
    assert "text 1 has 25 tokens, but the classifier reads 24 at once: 1 too many" in str(failure.error)


def test_control_tokens_in_a_text_are_text(model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "c", cls=TOKEN, labels=LABELS)
    text = "the fox [SEP] dog"
    (reply,) = ask(model, Classify(model=str(folder), texts=(text,)))
    assert "".join(text[span.start : span.end] for span in reply.spans[0]) == text.replace(" ", "")


def test_nothing_to_classify_is_nothing(model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=LABELS)
    assert ask(model, Classify(model=str(folder), texts=()))[0] == Classification()


def test_what_is_no_number_is_a_failure(tiny: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=LABELS)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    (failure,) = ask(open_model(tiny), Classify(model=str(folder), texts=TEXTS))
    assert isinstance(failure.error, ModelFailed)


def unlink(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (unlink, "has no weights"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be loaded"),
    ],
)
def test_a_broken_classifier_fails_its_request_alone(
    model: HFModel, tmp_path: Path, break_it: Callable[[Path], object], says: str
) -> None:
    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=LABELS)
    break_it(folder)
    failure, generation = ask(model, Classify(model=str(folder), texts=TEXTS), user("x", tokens=2))
    assert isinstance(failure.error, BadInput)
    assert says in str(failure.error)
    assert generation.new_tokens


def test_what_is_no_classifier_is_named(model: HFModel, tiny: Path) -> None:
    (failure,) = ask(model, Classify(model=str(tiny), texts=TEXTS))
    assert "no sequence or token classifier: its config.json says LlamaForCausalLM" in str(failure.error)
    (failure,) = ask(model, Classify(model="/no/such/place", texts=TEXTS))
    assert "does not exist" in str(failure.error)
    (failure,) = ask(model, Classify(model=str(tiny), texts=("a", ("b", "c"))))
    assert isinstance(failure.error, BadInput)
