"""The same work by the peers, on the same model in the same GPU's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from benchmarks.engine.gpu import Subject


PATIENCE = 60
"""Seconds after which a peer is taken not to work here."""


def likelihoods(subject: Subject, rows: Sequence[Any], batch: int) -> dict[str, Any]:
    """lm-evaluation-harness."""
    from lm_eval.api.instance import Instance  # noqa: PLC0415  # only this peer has it
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415

    peer = HFLM(pretrained=subject.model, tokenizer=subject.tokenizer, batch_size=batch)
    pairs = [(context, choice) for context, choices in rows for choice in choices]
    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0, metadata=("bench", n, 1))
        for n, pair in enumerate(pairs)
    ]

    def work() -> list[Any]:
        found = iter(peer.loglikelihood(asked, disable_tqdm=True))
        return [[next(found) for _ in choices] for _, choices in rows]

    return _timed(subject, work)


def generate(subject: Subject, prompts: Sequence[Any], batch: int) -> dict[str, Any]:
    """Of transformers, batch by batch, each row ended after as many tokens as it is given."""

    def work() -> list[Any]:
        found = []
        for start in range(0, len(prompts), batch):
            texts = [_rendered(subject, text) for text, _ in prompts[start : start + batch]]
            limits = [limit for _, limit in prompts[start : start + batch]]
            some = subject.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to("cuda")
            width = some["input_ids"].shape[1]
            ends: Any = transformers.LogitsProcessorList([_Ends(width, limits)])
            out = subject.model.generate(
                **some,
                max_new_tokens=max(limits),
                do_sample=False,
                eos_token_id=1,
                pad_token_id=2,
                logits_processor=ends,
            )
            found += [row[:limit] for row, limit in zip(out[:, width:].tolist(), limits, strict=True)]
        return found

    return _timed(subject, work)


def batching(subject: Subject, prompts: Sequence[Any], batch: int) -> dict[str, Any]:
    """Continuous batching of transformers, with what it chooses itself but for the number of requests."""
    from transformers.generation.configuration_utils import ContinuousBatchingConfig  # noqa: PLC0415

    how = ContinuousBatchingConfig(max_requests_per_batch=batch, max_memory_percent=0.5)
    make: Any = transformers.GenerationConfig
    greedy = make(do_sample=False, max_new_tokens=128, eos_token_id=-1, pad_token_id=2)
    ids = [subject.tokenizer.encode(_rendered(subject, text), add_special_tokens=False) for text, _ in prompts]

    def work() -> list[Any]:
        found: dict[str, list[int]] = {}
        names = [manager.add_request(one, max_new_tokens=limit) for one, (_, limit) in zip(ids, prompts, strict=True)]
        until = time.monotonic() + PATIENCE
        while len(found) < len(names):
            if time.monotonic() > until:
                raise TimeoutError(f"{len(names) - len(found)} of {len(names)} answers after {PATIENCE} s")
            reply = manager.get_result(timeout=1)
            if reply is not None and reply.error:
                raise RuntimeError(reply.error)
            if reply is not None and reply.is_finished():
                found[reply.request_id] = list(reply.generated_tokens)
        return [found[name] for name in names]

    before = subject.model.config._attn_implementation  # noqa: SLF001  # it switches it and leaves it switched
    try:
        with subject.model.continuous_batching_context_manager(
            generation_config=greedy, continuous_batching_config=how
        ) as manager:
            manager.add_request(ids[0], max_new_tokens=8)  # starting it is not what is measured
            until = time.monotonic() + PATIENCE
            while (reply := manager.get_result(timeout=1)) is None or not reply.is_finished():
                if (reply is not None and reply.error) or time.monotonic() > until:
                    raise RuntimeError(reply.error if reply else f"no answer after {PATIENCE} s")
            return _timed(subject, work)
    finally:
        subject.model.set_attn_implementation(before)


class _Ends(transformers.LogitsProcessor):
    """Lets each row end after as many tokens as it is given, and not before."""

    def __init__(self, width: int, limits: Sequence[int]) -> None:
        self._width = width
        self._limits = torch.tensor(limits, device="cuda")

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        over = self._limits <= input_ids.shape[1] - self._width
        scores[:, 1] = torch.where(over, torch.inf, -torch.inf)
        return scores


def _timed(subject: Subject, work: Callable[[], list[Any]]) -> dict[str, Any]:
    counted = 0

    def count(_module: Any, _inputs: Any, out: Any) -> None:
        nonlocal counted
        counted += out.numel() // out.shape[-1]

    hook = subject.model.get_input_embeddings().register_forward_hook(count)
    try:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        values = work()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    finally:
        hook.remove()
    return {"seconds": seconds, "tokens": counted, "values": values, "peak": torch.cuda.max_memory_allocated()}


def _rendered(subject: Subject, text: str) -> str:
    turns = [{"role": "user", "content": text}]
    return str(subject.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
