"""What a run asked, asked of the peers in sequence: `python -m benchmarks.engine.suite_peers HOW RESULT`.

HOW is JSON: a file of what is asked, model, precision, classifier, most tokens of an answer, and batch sizes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers


def main() -> None:
    """Likelihoods, answers, and whether they are toxic."""
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    how = json.loads(sys.argv[1])
    asked = json.loads(Path(how["asked"]).read_text("utf-8"))
    taken: dict[str, float] = {}
    likelihoods = _timed(taken, "likelihoods", lambda: _likelihoods(how, asked["score"]))
    answers, written = _timed(taken, "answers", lambda: _answers(how, asked["generate"]))
    toxic = _timed(taken, "toxicity", lambda: _toxic(how, asked["classify"]))
    found = {"likelihoods": likelihoods, "answers": answers, "written": written, "toxic": toxic, "seconds": taken}
    Path(sys.argv[-1]).write_text(json.dumps(found), "utf-8")


def _timed(taken: dict[str, float], name: str, work: Any) -> Any:
    started = time.process_time()
    done = work()
    taken[name] = time.process_time() - started
    return done


def _harness(how: dict[str, Any], batch: int) -> Any:
    from lm_eval.models.huggingface import HFLM  # noqa: PLC0415  # only this peer has it

    return HFLM(pretrained=how["model"], dtype=how["dtype"], device="cpu", batch_size=batch)


def _instances(kind: str, arguments: Sequence[Any]) -> list[Any]:
    from lm_eval.api.instance import Instance  # noqa: PLC0415

    return [
        Instance(request_type=kind, doc={}, arguments=one, idx=0, metadata=("bench", n, 1))
        for n, one in enumerate(arguments)
    ]


def _likelihoods(how: dict[str, Any], rows: Sequence[Any]) -> list[Any]:
    pairs = [(context, choice) for context, choices in rows for choice in choices]
    model = _harness(how, how["batches"]["score"])
    found = iter(model.loglikelihood(_instances("loglikelihood", pairs), disable_tqdm=True))
    return [[next(found) for _ in choices] for _, choices in rows]


def _answers(how: dict[str, Any], prompts: Sequence[str]) -> tuple[list[str], int]:
    model = _harness(how, how["batches"]["generate"])
    settings = {"until": ["<|im_end|>"], "max_gen_toks": how["limit"], "do_sample": False}
    asked = _instances("generate_until", [(prompt, settings) for prompt in prompts])
    texts = model.generate_until(asked, disable_tqdm=True)
    return texts, sum(len(model.tok_encode(text)) for text in texts)


def _toxic(how: dict[str, Any], texts: Sequence[str]) -> list[Any]:
    from detoxify import Detoxify  # noqa: PLC0415

    peer = Detoxify.__new__(Detoxify)  # its weights are not to be had here, and its own way of predicting is
    peer.model = transformers.AutoModelForSequenceClassification.from_pretrained(how["classifier"])
    loader: Any = transformers.AutoTokenizer
    peer.tokenizer = loader.from_pretrained(how["classifier"])
    peer.device, peer.class_names = "cpu", list(peer.model.config.id2label.values())
    size = how["batches"]["classify"]
    parts = [peer.predict(list(texts[start : start + size])) for start in range(0, len(texts), size)]
    return [list(row) for part in parts for row in zip(*part.values(), strict=True)]


if __name__ == "__main__":
    main()
