"""Which tokens a peer would send through a model: its own sorting, grouping and padding, and no model behind them.

`python -m benchmarks.engine.peer_tokens ASKED RESULT`, in the peer's environment. ASKED is JSON: a model, whose
tokenizer is used, files of rows, and batch sizes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models import huggingface


class Counting(huggingface.HFLM):  # type: ignore[misc]
    """Answers nothing, and counts what it was handed, padding too."""

    forwarded = 0

    def _model_call(self, inps: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        self.forwarded += inps.numel()
        return torch.zeros(()).expand(*inps.shape, self.model.config.vocab_size)


def main() -> None:
    """Count, for every file and batch size."""
    asked = json.loads(sys.argv[1])
    # Zeros for all tokens take no room as long as nobody normalises them.
    huggingface.F = SimpleNamespace(log_softmax=lambda logits, **_: logits)
    model = Counting(pretrained=asked["model"], dtype="float32", device="cpu", batch_size=1)
    found = {path: {str(size): _tokens(model, path, size) for size in asked["sizes"]} for path in asked["rows"]}
    Path(sys.argv[-1]).write_text(json.dumps(found), "utf-8")


def _tokens(model: Counting, path: str, size: int) -> int:
    model.forwarded, model.batch_size_per_gpu = 0, size
    pairs = [(context, choice) for context, choices in json.loads(Path(path).read_text()) for choice in choices]
    model.loglikelihood(
        [
            Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0, metadata=("bench", n, 1))
            for n, pair in enumerate(pairs)
        ],
        disable_tqdm=True,
    )
    return model.forwarded


if __name__ == "__main__":
    main()
