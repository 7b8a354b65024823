"""One piece of work by the `hf` plugin, in a process of its own: `python -m benchmarks.engine.ours WORK RESULT`."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine.clock import Clock
from benchmarks.engine.work import Work
from orca_guard.contracts import ModelSpec
from orca_guard.types import Classify, Decoding, Generate, Message, Request, Score
from orca_guard_hf.loader import HuggingFace
from orca_guard_hf.model import HFModel
from orca_guard_hf.products import linear

SLOTS = {"15M": 64, "110M": 32}


def main() -> None:
    """Do it."""
    torch.set_num_threads(1)
    asked = json.loads(sys.argv[1])
    if asked == "peak":
        Path(sys.argv[-1]).write_text(json.dumps({str(d): _peak(d) for d in (torch.float32, torch.bfloat16)}), "utf-8")
        return
    work, clock = Work(**asked), Clock()
    requests = _requests(work)
    model = _opened(work)
    if work.kind != "classify":
        clock.count(model.network.model)
    list(model.run(requests[:2]))  # probes and caches are not what is measured
    replies: dict[int, Any] = {}
    with clock.running():
        for request, reply in model.run(requests):
            replies[id(request)] = reply
    if work.kind == "classify":
        (reader,) = model.classifiers._loaded.values()  # noqa: SLF001  # its count
        clock.found["tokens"] = reader.read
    clock.hand_over([_plain(replies[id(request)]) for request in requests])


def _requests(work: Work) -> list[Request]:
    if work.kind == "score":
        return [Score(context=context, continuations=tuple(choices)) for context, choices in work.asked()]
    if work.kind == "classify":
        return [Classify(model=work.model, texts=(text,), function="sigmoid") for text in work.asked()]
    return [
        Generate(messages=(Message("user", text),), decoding=Decoding(max_new_tokens=limit))
        for text, limit in work.asked()
    ]


def _opened(work: Work) -> HFModel:
    name = Path(work.model).name
    spec = ModelSpec(reference=work.model, device_map="cpu", dtype=work.dtype, batch_size=SLOTS.get(name, 16))
    if work.kind == "classify":
        beside = str(Path(work.model).with_name("15M"))
        spec = ModelSpec(reference=beside, device_map="cpu", options={"classifier_dtype": work.dtype})
    model = HuggingFace().open(spec)
    assert isinstance(model, HFModel)
    return model


def _plain(reply: Any) -> Any:
    if hasattr(reply, "likelihoods"):
        return [[one.logprob, one.greedy] for one in reply.likelihoods]
    if hasattr(reply, "scores"):
        return list(reply.scores[0].values())
    if hasattr(reply, "ids"):
        return list(reply.ids)
    raise reply.error


def _peak(dtype: torch.dtype) -> float:
    """FLOP/s of the fastest product of a layer's size, by the library that is faster."""
    best = 0.0
    sizes = ((256, 768), (512, 768), (256, 2048))
    ways: tuple[Callable[..., torch.Tensor], ...] = (torch.nn.functional.linear, linear)
    for (tokens, width), product in itertools.product(sizes, ways):
        one, other = torch.randn(tokens, width).to(dtype), torch.randn(width, width).to(dtype)
        product(one, other, None)
        for _ in range(5):
            started = time.process_time()
            for _ in range(20):
                product(one, other, None)
            best = max(best, 20 * 2 * tokens * width * width / (time.process_time() - started))
    return best


if __name__ == "__main__":
    main()
