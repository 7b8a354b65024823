"""On an accelerator: placed in one piece, over GPU and CPU, over GPU and disk, in half precision, and streamed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from orca_guard.types import Classify, Decoding, Embed, Generation, Partial, Score
from orca_guard_hf.model import HFModel
from tests.plugins.orca_guard_hf.conftest import ask, open_model, user
from tests.plugins.orca_guard_hf.test_classify import LABELS, SEQUENCE, TEXTS, bert

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]

SAMPLED = Decoding(max_new_tokens=8, temperature=1.1, top_p=0.9)
REQUESTS: list[Any] = [
    user("the one", tokens=8),
    user("the quick brown fox jumps over", tokens=8),
    user("the fox", decoding=SAMPLED, seed=11),
    Score(context="the one", continuations=(" of", " who is", " fox")),
    Embed(texts=("the fox", "a lazy dog")),
]
SPLIT: dict[str, str | int] = {
    "model.embed_tokens": 0,
    "model.rotary_emb": 0,
    "model.layers.0": 0,
    "model.layers.1": "cpu",
    "model.layers.2": 0,
    "model.layers.3": "disk",
    "model.norm": 0,
    "lm_head": 0,
}


@pytest.fixture(autouse=True)
def _exact() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False


def same(one: list[Any], other: list[Any]) -> None:
    assert [g.text for g in one[:3]] == [g.text for g in other[:3]]
    for a, b in zip(one[3].likelihoods, other[3].likelihoods, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=1e-3)
    for a, b in zip(one[4].vectors, other[4].vectors, strict=True):
        assert a == pytest.approx(b, abs=1e-3)


def test_one_gpu_answers_as_the_cpu(tiny: Path, model: HFModel) -> None:
    opened = open_model(tiny, device_map="")
    assert opened.identity["placement"] == "cuda:0"
    assert not hasattr(opened.network.model, "_hf_hook")
    same(ask(opened, *REQUESTS), ask(model, *REQUESTS))


def test_layers_on_gpu_cpu_and_disk_answer_as_in_one_piece(tiny: Path, model: HFModel) -> None:
    parts = open_model(tiny, device_map=SPLIT, dtype="float32")
    assert set(parts.network.model.hf_device_map.values()) == {0, "cpu", "disk"}
    same(ask(parts, *REQUESTS), ask(model, *REQUESTS))


@pytest.mark.parametrize("device_map", ["auto", "sequential"])
def test_a_gpu_too_small_shares_with_the_cpu(tiny: Path, model: HFModel, device_map: str) -> None:
    parts = open_model(tiny, device_map=device_map, dtype="float32", max_memory={"0": "150KB", "cpu": "1GiB"})
    assert set(parts.network.model.hf_device_map.values()) == {0, "cpu"}
    same(ask(parts, *REQUESTS), ask(model, *REQUESTS))


def test_pickled_shards_go_to_the_gpu(orca2: Path, orca: HFModel) -> None:
    opened = open_model(orca2, device_map="auto", dtype="float32")
    same(ask(opened, *REQUESTS), ask(orca, *REQUESTS))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_generates_and_scores(tiny: Path, model: HFModel, dtype: str) -> None:
    opened = open_model(tiny, device_map="cuda", dtype=dtype)
    assert opened.identity["dtype"] == dtype
    replies, exact = ask(opened, *REQUESTS), ask(model, *REQUESTS)
    assert all(isinstance(g, Generation) and g.new_tokens for g in replies[:3])
    for a, b in zip(replies[3].likelihoods, exact[3].likelihoods, strict=True):
        assert a.logprob == pytest.approx(b.logprob, abs=2.0)


def test_the_checkpoint_s_precision_is_kept_on_a_gpu(tiny: Path, tmp_path: Path) -> None:
    import shutil

    from transformers import AutoModelForCausalLM

    folder = Path(shutil.copytree(tiny, tmp_path / "half"))
    AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(folder)
    assert open_model(folder, device_map="").identity["dtype"] == "bfloat16"
    assert open_model(folder, device_map="cpu").identity["dtype"] == "float32"


def test_a_stream_on_a_gpu(tiny: Path) -> None:
    request = user("the fox", tokens=10, stream=True)
    *partials, generation = [reply for _, reply in open_model(tiny, device_map="cuda").run([request])]
    assert isinstance(generation, Generation)
    assert len(partials) > 3
    assert all(isinstance(p, Partial) and generation.text.startswith(p.text) for p in partials)


def test_classifiers_go_to_the_gpu_too(tiny: Path, model: HFModel, tmp_path: Path) -> None:
    folder = bert(tmp_path / "c", cls=SEQUENCE, labels=LABELS)
    request = Classify(model=str(folder), texts=TEXTS)
    opened = open_model(tiny, device_map="")
    (fast,), (slow,) = ask(opened, request), ask(model, request)
    for a, b in zip(fast.scores, slow.scores, strict=True):
        assert a == pytest.approx(b, abs=1e-4)


def test_packed_forwards_are_trusted_on_a_gpu_and_over_several_devices(tiny: Path) -> None:
    for more in ({"device_map": "cuda"}, {"device_map": SPLIT}):
        assert open_model(tiny, dtype="float32", **more)._packing.why_not == ""


def test_company_changes_no_tokens_on_a_gpu(tiny: Path) -> None:
    opened = open_model(tiny, device_map="cuda", dtype="float32")
    requests = [user(f"the fox {n}", tokens=8) for n in range(20)]
    assert ask(opened, *requests) == ask(replace(opened, batch_size=1), *requests)
