"""A described model is the loaded one without its weights: same identity, same measures, no answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orca_guard.assembly import lasting
from orca_guard.contracts import Described, ModelSpec
from orca_guard.errors import BadInput, ModelFailed, PromptTooLong
from orca_guard.types import Embed, Failure, Generate, Message, Score
from orca_guard_hf.loader import HuggingFace
from orca_guard_nano import models

NANO = next(iter(models()))
REQUEST = Generate(messages=(Message("user", "What is 2 + 2?"),), max_new_tokens=4)


def spec(**fields: Any) -> ModelSpec:
    return ModelSpec(reference=NANO.reference, **fields)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "fields", [{}, {"dtype": "bfloat16"}, {"device_map": "auto"}, {"device_map": {"": "cpu"}}, {"profile": "chatml"}]
)
def test_it_tells_what_the_loaded_one_tells(fields: dict[str, Any]) -> None:
    described, loaded = HuggingFace().describe(spec(**fields)), HuggingFace().open(spec(**fields))
    assert isinstance(described, Described)
    assert lasting({"model": dict(described.identity)}) == lasting({"model": dict(loaded.identity)})
    assert (described.context, described.requests) == (loaded.context, loaded.requests)
    assert described.system_messages == loaded.system_messages


def test_it_measures_what_the_loaded_one_reads() -> None:
    [(_, reply)] = HuggingFace().open(spec()).run([REQUEST])
    assert HuggingFace().describe(spec()).measure(REQUEST) == reply.prompt_tokens  # type: ignore[union-attr]


def test_what_cannot_be_asked_is_said_beforehand() -> None:
    described = HuggingFace().describe(spec())
    with pytest.raises(PromptTooLong, match="too many"):
        described.measure(Generate(messages=(Message("user", "a b " * 3000),), max_new_tokens=4))
    with pytest.raises(PromptTooLong):
        described.measure(Score(context="a b " * 3000, continuations=(" c",)))
    with pytest.raises(BadInput, match="empty continuation"):
        described.measure(Score(context="a", continuations=("",)))
    with pytest.raises(ModelFailed, match="not known beforehand"):
        described.measure(Embed(texts=("a",)))


def test_it_answers_nothing() -> None:
    [(_, reply)] = HuggingFace().describe(spec()).run([REQUEST])
    assert isinstance(reply, Failure)
    assert "is described, not loaded" in str(reply.error)


def test_what_open_refuses_describe_refuses(tmp_path: Path) -> None:
    for wrong in (ModelSpec(reference=str(tmp_path)), spec(dtype="float8"), spec(batch_size=0)):
        with pytest.raises(BadInput) as opened:
            HuggingFace().open(wrong)
        with pytest.raises(BadInput) as described:
            HuggingFace().describe(wrong)
        assert str(opened.value) == str(described.value)
