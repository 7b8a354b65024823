"""A network's loss on packed rows, and the proof that it keeps the examples of a row apart."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from orca_guard_tuning.examples import Example
from orca_guard_tuning.packing import IGNORED, Batch, batch

_TOLERANCE = 1e-3
"""Logits of one example may differ by this share of their spread between a row of its own and a shared one."""


def loss_sum(network: Any, rows: Batch, *, narrow: bool) -> Tensor:
    """Cross entropy summed over the tokens that are learned, in nats.

    Args:
        network: causal language model of transformers, wrapped for several processes or not.
        rows: on its device.
        narrow: whether it takes `logits_to_keep`: then logits are made for columns with a target alone.
    """
    targets, more = rows.targets, {}
    if narrow:
        columns = (targets != IGNORED).any(0).nonzero().squeeze(1)
        columns = columns if len(columns) else columns.new_zeros(1)
        targets, more = targets[:, columns], {"logits_to_keep": columns}
    logits = network(input_ids=rows.ids, position_ids=rows.positions, use_cache=False, **more).logits
    return functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
    )


def narrows(network: torch.nn.Module) -> bool:
    """Whether the network makes logits for chosen columns alone when asked to."""
    return "logits_to_keep" in inspect.signature(network.forward).parameters


@torch.no_grad()
def why_not_packed(network: Any, *, vocabulary: int, pad: int, seed: int = 0) -> str:
    """Why examples may not share a row in this network; empty where they may.

    It is tried: an example's logits beside others are held against those in a row of its own.

    Args:
        network: in evaluation mode or not; its mode is left as it was.
        vocabulary: tokens it knows.
        pad: the padding token.
        seed: of the tokens that are tried.
    """
    rng = np.random.default_rng(seed)
    sizes = (5, 9, 3)
    tried = [Example(rng.integers(0, vocabulary, n, np.int32), np.ones(n, np.bool_)) for n in sizes]
    training, device = network.training, next(network.parameters()).device
    network.eval()
    try:
        together = _logits(network, batch([tried], pad=pad).to(device))[0]
        alone = [_logits(network, batch([[one]], pad=pad).to(device))[0][: len(one)] for one in tried]
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        return f"it takes no packed rows: {error}"
    finally:
        network.train(training)
    wanted = torch.cat(alone)
    off = float((together[: sum(sizes)] - wanted).abs().max() / wanted.std().clamp_min(1e-6))
    return "" if off < _TOLERANCE else f"examples in one row change each other (logits differ by {off:.2g} spreads)"


def _logits(network: Any, rows: Batch) -> Tensor:
    logits: Tensor = network(input_ids=rows.ids, position_ids=rows.positions, use_cache=False).logits
    return logits.float()
