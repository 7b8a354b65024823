from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orca_guard.errors import BadInput, TextTooLong
from orca_guard.types import Classification, Classify, Failure
from orca_guard_hf.classify import Classifiers
from orca_guard_hf.model import HFModel
from orca_guard_hf.reader import Reader
from tests.plugins.orca_guard_hf.conftest import WORDS, ask, open_model
from tests.plugins.orca_guard_hf.test_classify import LABELS, SEQUENCE, TOKEN, bert, by_hand

TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
SMALL: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
    "initializer_range": 0.5,
    "num_labels": 3,
}
PACKED = {
    "Roberta": {**SMALL, "pad_token_id": 1},
    "XLMRoberta": {**SMALL, "pad_token_id": 1},
    "Electra": {**SMALL, "embedding_size": 16},
}
SORTED = {
    "GPT2": {"vocab_size": 100, "n_embd": 16, "n_layer": 2, "n_head": 2, "num_labels": 3, "pad_token_id": 0},
    "DebertaV2": {**SMALL, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
}


def reader_of(folder: Path, **more: Any) -> Reader:
    classifiers = Classifiers(device=torch.device("cpu"), trust_remote_code=False, offline=True, **more)
    list(classifiers.classify([Classify(model=str(folder), texts=("the fox",))], batch_size=4))
    (reader,) = classifiers._loaded.values()
    return reader


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {cls: bert(tmp_path_factory.mktemp(cls), cls=cls, labels=LABELS) for cls in (SEQUENCE, TOKEN)}


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.lists(TEXT, max_size=4), min_size=1, max_size=6), most=st.integers(8, 60))
def test_any_texts_of_any_requests_have_the_library_s_scores(
    model: HFModel, folders: dict[str, Path], asked: list[list[str]], most: int
) -> None:
    requests = [Classify(model=str(folders[SEQUENCE]), texts=tuple(texts), function="none") for texts in asked]
    for reader in model.classifiers._loaded.values():
        reader._budget.tokens = most
    for texts, reply in zip(asked, ask(model, *requests), strict=True):
        assert isinstance(reply, Classification)
        for scores, logits in zip(reply.scores, by_hand(folders[SEQUENCE], *texts, cls=SEQUENCE), strict=True):
            assert torch.tensor(list(scores.values())).allclose(logits, atol=1e-4)


@pytest.mark.parametrize("cls", [SEQUENCE, TOKEN])
def test_texts_lie_side_by_side_without_padding(folders: dict[str, Path], cls: str) -> None:
    reader = reader_of(folders[cls])
    assert reader.why_not == ""
    texts = ["the fox", "a lazy dog jumps over seven wizards", "liquor", "box with five dozen jugs"]
    encoded = reader.classifier.tokenizer(texts)
    rows = [{name: encoded[name][n] for name in ("input_ids", "token_type_ids")} for n in range(len(texts))]
    before = reader.read
    found = reader.logits(rows, batch_size=2)
    assert reader.read - before == sum(map(len, encoded["input_ids"]))
    for one, expected in zip(found, by_hand(folders[cls], *texts, cls=cls), strict=True):
        assert one.allclose(expected, atol=1e-5)


def saved(folder: Path, name: str, settings_: dict[str, Any]) -> Path:
    import transformers

    bert(folder, cls=SEQUENCE, labels=LABELS)
    for file in ("config.json", "model.safetensors"):
        (folder / file).unlink()
    torch.manual_seed(3)
    config = getattr(transformers, f"{name}Config")(id2label=LABELS, **settings_)
    getattr(transformers, f"{name}ForSequenceClassification")(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", [*PACKED, *SORTED])
def test_every_architecture_has_the_library_s_scores_whichever_way_it_takes(
    model: HFModel, tmp_path: Path, name: str
) -> None:
    folder = saved(tmp_path / name, name, {**PACKED, **SORTED}[name])
    texts = ["the fox", "a lazy dog jumps over seven wizards", "liquor", "box with five dozen jugs", "a b"]
    request = Classify(model=str(folder), texts=tuple(texts), function="none")
    (reply,) = ask(model, request)
    for scores, expected in zip(
        reply.scores, by_hand(folder, *texts, cls=f"{name}ForSequenceClassification"), strict=True
    ):
        assert torch.tensor(list(scores.values())).allclose(expected, atol=1e-4)
    assert (reader_of(folder).why_not == "") == (name in PACKED)


def test_one_that_fails_fails_alone(model: HFModel, folders: dict[str, Path]) -> None:
    good = Classify(model=str(folders[SEQUENCE]), texts=("the fox", "a dog"))
    long = Classify(model=str(folders[SEQUENCE]), texts=("fox " * 30,))
    first, failure, missing, last = ask(model, good, long, Classify(model="/no/such/place", texts=("a",)), good)
    assert first == last
    assert isinstance(first, Classification)
    assert [type(f.error) for f in (failure, missing)] == [TextTooLong, BadInput]


def test_half_precision_has_to_be_asked_for_and_is_part_of_the_identity(tiny: Path, folders: dict[str, Path]) -> None:
    exact, half = open_model(tiny), open_model(tiny, options={"classifier_dtype": "bfloat16"})
    request = Classify(model=str(folders[SEQUENCE]), texts=("the fox", "a lazy dog jumps over seven wizards"))
    (one,), (other,) = ask(exact, request), ask(half, request)
    for a, b in zip(one.scores, other.scores, strict=True):
        assert a == pytest.approx(b, abs=5e-2)
        assert a != b
    assert half.identity == {**exact.identity, "classifiers": "bfloat16"}
    with pytest.raises(BadInput, match="did you mean 'bfloat16'"):
        open_model(tiny, options={"classifier_dtype": "bfloat61"})


def test_out_of_memory_halves_the_budget_and_goes_on(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader = reader_of(folders[SEQUENCE])
    texts = [" ".join(WORDS[n : n + 8]) for n in range(8)]
    rows = [{"input_ids": ids} for ids in reader.classifier.tokenizer(texts)["input_ids"]]
    expected = reader.logits(rows, batch_size=4)
    read = reader._packed

    def scarce(some: Any) -> Any:
        if len(some) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return read(some)

    monkeypatch.setattr(reader, "_packed", scarce)
    with caplog.at_level(logging.WARNING, "orca_guard"):
        found = reader.logits(rows, batch_size=4)
    assert any("Out of memory" in message for message in caplog.messages)
    for one, other in zip(found, expected, strict=True):
        assert one.allclose(other, atol=1e-5)


def test_trouble_with_one_text_is_its_request_s(
    tiny: Path, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(tiny)
    requests = [Classify(model=str(folders[TOKEN]), texts=(text,)) for text in ("the fox", "bad liquor", "a dog")]
    ask(model, requests[0])
    (reader,) = model.classifiers._loaded.values()
    bad = reader.classifier.tokenizer("bad liquor")["input_ids"]
    read = reader._packed

    def fussy(some: Any) -> Any:
        if any(row["input_ids"] == bad for row in some):
            raise RuntimeError("the device is gone")
        return read(some)

    monkeypatch.setattr(reader, "_packed", fussy)
    replies = ask(model, *requests)
    assert [isinstance(reply, Failure) for reply in replies] == [False, True, False]
