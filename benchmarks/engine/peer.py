"""One piece of work by a peer, in its own environment: `python -m benchmarks.engine.peer WORK PEER BATCH RESULT`.

With several batch sizes and commas between them, each is tried, and the result is how many seconds each took.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
import transformers

from benchmarks.engine.clock import Clock
from benchmarks.engine.work import Work


def main() -> None:
    """Do it."""
    torch.set_num_threads(1)
    library: Any = transformers.utils.logging
    library.set_verbosity_error()
    work, peer = Work(**json.loads(sys.argv[1])), sys.argv[2]
    batches = [int(size) for size in sys.argv[3].split(",")]
    clock = Clock()
    if not batches[1:]:
        clock.hand_over(DO[work.kind, peer](work, batches[0], clock))
        return
    taken: dict[int, float] = dict.fromkeys(batches, math.inf)
    for size in batches * (1 if work.kind == "generate" else 2):  # what is over soon is tried twice
        DO[work.kind, peer](work, size, clock)
        taken[size] = min(taken[size], clock.found["seconds"])
    clock.found["seconds"] = taken
    clock.hand_over(None)


def _loglikelihoods(work: Work, batch: int, clock: Clock) -> list[Any]:
    from lm_eval.api.instance import Instance  # noqa: PLC0415  # only this peer has it
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

    model = HFLM(pretrained=work.model, dtype=work.dtype, device="cpu", batch_size=batch)
    clock.count(model.model)
    pairs = [(context, choice) for context, choices in work.asked() for choice in choices]
    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0, metadata=("bench", n, 1))
        for n, pair in enumerate(pairs)
    ]
    model.loglikelihood(asked[:2], disable_tqdm=True)
    with clock.running():
        found = iter(model.loglikelihood(asked, disable_tqdm=True))
    return [[next(found) for _ in choices] for _, choices in work.asked()]


def _generate_until(work: Work, batch: int, clock: Clock) -> list[Any]:
    from lm_eval.api.instance import Instance  # noqa: PLC0415
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

    class Ending(HFLM):  # type: ignore[misc]  # every answer ends where its row says, as a trained model would end it
        def _model_generate(self, context: Any, max_length: int, stop: Any, **more: Any) -> Any:
            more["logits_processor"] = [_Ends(context, limits, self.tokenizer)]
            out = super()._model_generate(context, max_length, stop, **more)
            for prompt, row in zip(context.tolist(), out[:, context.shape[1] :].tolist(), strict=True):
                written[_without_padding(prompt, self.tokenizer)] = _own(row, self.tokenizer)
            return out

    written: dict[tuple[int, ...], list[int]] = {}
    model = Ending(pretrained=work.model, dtype=work.dtype, device="cpu", batch_size=batch)
    texts = [_rendered(model.tokenizer, text) for text, _ in work.asked()]
    limits = {_key(model.tokenizer, text): limit for text, (_, limit) in zip(texts, work.asked(), strict=True)}
    clock.count(model.model)
    how = {"until": ["</s>"], "max_gen_toks": 130, "do_sample": False}
    asked = [
        Instance(request_type="generate_until", doc={}, arguments=(text, how), idx=0, metadata=("bench", n, 1))
        for n, text in enumerate(texts)
    ]
    with clock.running():
        model.generate_until(asked, disable_tqdm=True)
    return [written[_key(model.tokenizer, text)] for text in texts]


def _generate(work: Work, batch: int, clock: Clock) -> list[Any]:
    model, tokenizer = _model(work), _tokenizer(work)
    clock.count(model)
    texts = [_rendered(tokenizer, text) for text, _ in work.asked()]
    limits = {_key(tokenizer, text): limit for text, (_, limit) in zip(texts, work.asked(), strict=True)}
    found = []
    with clock.running():
        for start in range(0, len(texts), batch):
            some = tokenizer(texts[start : start + batch], return_tensors="pt", padding=True, add_special_tokens=False)
            ends = [_Ends(some["input_ids"], limits, tokenizer)]
            out = model.generate(**some, max_new_tokens=130, do_sample=False, logits_processor=ends)
            found += [_own(row, tokenizer) for row in out[:, some["input_ids"].shape[1] :].tolist()]
    return found


def _batching(work: Work, batch: int, clock: Clock) -> list[Any]:
    from transformers.generation.configuration_utils import ContinuousBatchingConfig  # noqa: PLC0415

    model, tokenizer = _model(work), _tokenizer(work)
    clock.count(model)
    how = ContinuousBatchingConfig(
        num_blocks=256, page_size=64, max_batch_tokens=256, max_requests_per_batch=batch, use_cuda_graph=False
    )
    make: Any = transformers.GenerationConfig
    greedy = make(do_sample=False, max_new_tokens=128, eos_token_id=-1, pad_token_id=2)
    ids = [tokenizer.encode(_rendered(tokenizer, text), add_special_tokens=False) for text, _ in work.asked()]
    found: dict[str, list[int]] = {}
    with (
        clock.running(),
        model.continuous_batching_context_manager(generation_config=greedy, continuous_batching_config=how) as manager,
    ):
        names = [
            manager.add_request(one, max_new_tokens=limit) for one, (_, limit) in zip(ids, work.asked(), strict=True)
        ]
        while len(found) < len(names):
            reply = manager.get_result(timeout=1)
            if reply is not None and reply.error:
                raise RuntimeError(reply.error)
            if reply is not None and reply.is_finished():
                found[reply.request_id] = list(reply.generated_tokens)
    return [found[name] for name in names]


def _predict(work: Work, batch: int, clock: Clock) -> list[Any]:
    from detoxify import Detoxify  # noqa: PLC0415

    peer = Detoxify.__new__(Detoxify)  # its weights are not to be had here, and its own way of predicting is
    peer.model = transformers.AutoModelForSequenceClassification.from_pretrained(work.model)
    peer.tokenizer = _tokenizer(work)
    peer.device, peer.class_names = "cpu", list(peer.model.config.id2label.values())
    clock.count(peer.model)
    texts, found = work.asked(), []
    peer.predict(texts[:2])
    with clock.running():
        for start in range(0, len(texts), batch):
            scores = peer.predict(texts[start : start + batch])
            found += [list(row) for row in zip(*scores.values(), strict=True)]
    return found


class _Ends(transformers.LogitsProcessor):
    """Lets each row end after as many tokens as it is given."""

    def __init__(self, prompts: Any, limits: dict[tuple[int, ...], int], tokenizer: Any) -> None:
        self._start, self._end = prompts.shape[1], tokenizer.eos_token_id
        self._limits = torch.tensor([limits[_without_padding(row, tokenizer)] for row in prompts.tolist()])

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        over = self._limits <= input_ids.shape[1] - self._start
        scores[over] = -torch.inf
        scores[over, self._end] = 0
        return scores


def _model(work: Work) -> Any:
    loader: Any = transformers.AutoModelForCausalLM
    return loader.from_pretrained(work.model, dtype=getattr(torch, work.dtype)).eval()


def _tokenizer(work: Work) -> Any:
    loader: Any = transformers.AutoTokenizer
    return loader.from_pretrained(Path(work.model), padding_side="left" if work.kind == "generate" else "right")


def _rendered(tokenizer: Any, text: str) -> str:
    turns = [{"role": "user", "content": text}]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))


def _key(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def _without_padding(row: list[int], tokenizer: Any) -> tuple[int, ...]:
    return tuple(i for i in row if i != tokenizer.pad_token_id)


def _own(row: list[int], tokenizer: Any) -> list[int]:
    return row[: row.index(tokenizer.eos_token_id)] if tokenizer.eos_token_id in row else row


DO = {
    ("score", "lm-eval"): _loglikelihoods,
    ("generate", "lm-eval"): _generate_until,
    ("generate", "generate"): _generate,
    ("generate", "batching"): _batching,
    ("classify", "detoxify"): _predict,
}

if __name__ == "__main__":
    main()
