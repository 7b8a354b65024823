"""Everything a training needs, read and counted before the first step."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from orca_guard.errors import BadInput
from orca_guard.identity import digest_file
from orca_guard_tuning.examples import Encoder, Example
from orca_guard_tuning.network import why_not_packed
from orca_guard_tuning.stages import StagesTable, StageTable, settings
from orca_guard_tuning.start import Start
from orca_guard_tuning.trainer import Stage, steps_of
from orca_guard_tuning.triples import Triple, read_triples


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of triples.

    Attributes:
        path: of the file.
        digest: of its bytes.
        triples: it holds.
        report: what `tune filter` said of it, where that lies beside it.
    """

    path: Path
    digest: str
    triples: int
    report: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What became of a stage's triples.

    Attributes:
        name: of the stage.
        sources: its files.
        examples: that are trained on.
        left_out: reason → triples that are not.
        tokens: of all examples.
        answer_tokens: those with a loss.
        steps: of the stage.
        rows: of all steps.
        filled: share of the rows' room that examples take.
        systems: system message of erased triples → how many.
    """

    name: str
    sources: tuple[Source, ...]
    examples: int
    left_out: Mapping[str, int]
    tokens: int
    answer_tokens: int
    steps: int
    rows: int
    filled: float
    systems: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training that could begin.

    Attributes:
        table: the stages file.
        start: network and tokenizer.
        reference: what was started from.
        stages: with their examples.
        counted: what became of each stage's triples.
        held_out: examples that are never trained on.
        held_out_sources: where they come from.
        alone: why every example has a row of its own; empty where they are packed.
        identity: everything that decides the result, but the number of processes.
    """

    table: StagesTable
    start: Start
    reference: str
    stages: tuple[Stage, ...]
    counted: tuple[Counted, ...]
    held_out: tuple[Example, ...]
    held_out_sources: tuple[Source, ...]
    alone: str
    identity: Mapping[str, Any] = field(default_factory=dict)


def prepare(table: StagesTable, start: Start, *, reference: str) -> Prepared:
    """Read and encode all data, and see whether the network keeps packed examples apart.

    Raises:
        BadInput: a file cannot be read or holds rows that are not fit; a stage has nothing left to train on, or is
            longer than the network has positions.
    """
    encoder = Encoder(start.tokenizer)
    vocabulary = start.network.get_input_embeddings().num_embeddings
    alone = why_not_packed(start.network, vocabulary=vocabulary, pad=start.pad)
    stages, counted = [], []
    for told in table.stages:
        if start.positions is not None and told.length > start.positions:
            raise BadInput(
                f"stage {told.name!r} has rows of {told.length} tokens, but the model has {start.positions} positions"
            )
        stage, count = _stage(told, encoder, seed=table.seed, alone=bool(alone))
        stages.append(stage)
        counted.append(count)
    longest = max(told.length for told in table.stages)
    held_out, sources = _held_out(table, encoder, longest)
    _check_apart(stages, held_out)
    return Prepared(
        table=table,
        start=start,
        reference=reference,
        stages=tuple(stages),
        counted=tuple(counted),
        held_out=held_out,
        held_out_sources=sources,
        alone=alone,
        identity={
            "settings": settings(table),
            "start": _digest_of_network(start.network),
            "stages": {stage.name: _digest_of_examples(stage.examples) for stage in stages},
            "held_out": _digest_of_examples(held_out),
            "versions": {name: version(name) for name in ("accelerate", "torch", "transformers")},
        },
    )


def _stage(told: StageTable, encoder: Encoder, *, seed: int, alone: bool) -> tuple[Stage, Counted]:
    sources, triples = _read(told.data)
    examples, left_out = _encoded(triples, encoder, length=told.length)
    if not examples:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
        raise BadInput(f"stage {told.name!r} has nothing to train on: {why}")
    lengths = [len(example) for example in examples]
    steps = steps_of(
        lengths, length=told.length, rows=told.rows, epochs=told.epochs, seed=(seed, told.name), alone=alone
    )
    stage = Stage(
        name=told.name, examples=examples, steps=steps, rate=told.rate, warmup=told.warmup, shape=told.schedule,
        decay=told.decay,
    )  # fmt: skip
    rows = sum(map(len, steps))
    return stage, Counted(
        name=told.name,
        sources=sources,
        examples=len(examples),
        left_out=left_out,
        tokens=sum(lengths),
        answer_tokens=sum(example.answer_tokens for example in examples),
        steps=len(steps),
        rows=rows,
        filled=sum(lengths) * told.epochs / (rows * told.length),
        systems=Counter(triple.system for triple in triples if triple.erased),
    )


def _held_out(table: StagesTable, encoder: Encoder, length: int) -> tuple[tuple[Example, ...], tuple[Source, ...]]:
    if not table.held_out:
        return (), ()
    sources, triples = _read(table.held_out)
    examples, _ = _encoded(triples, encoder, length=length)
    if not examples:
        raise BadInput("nothing that is held out can be encoded")
    return tuple(examples), sources


def _check_apart(stages: Sequence[Stage], held_out: Sequence[Example]) -> None:
    """Raises `BadInput` where something is trained on and held out as well."""
    trained = {example.ids.tobytes() for stage in stages for example in stage.examples}
    if both := sum(example.ids.tobytes() in trained for example in held_out):
        raise BadInput(f"{both} of {len(held_out)} held-out examples are trained on too. Take them out of one of both.")


def _read(paths: Sequence[str]) -> tuple[tuple[Source, ...], list[Triple]]:
    """The triples of some files. One that is not fit to be trained on is refused: that is for `tune filter` to drop."""
    sources, found = [], []
    for path in map(Path, paths):
        triples = read_triples(path)
        if unfit := next((t for t in triples if t.fault or t.empty), None):
            why = unfit.fault or "empty"
            raise BadInput(f"{path}: row {unfit.id!r} is not fit to train on ({why}). Run orca-guard tune filter.")
        report = path.with_name(f"{path.name}.report.json")
        sources.append(
            Source(
                path=path,
                digest=digest_file(path, fresh=True),
                triples=len(triples),
                report=report if report.is_file() else None,
            )
        )
        found += triples
    return tuple(sources), found


def _encoded(triples: Sequence[Triple], encoder: Encoder, *, length: int) -> tuple[list[Example], dict[str, int]]:
    """The examples, and why some triples became none. None is ever cut: half an answer teaches to stop halfway."""
    examples: list[Example] = []
    left_out = Counter[str]()
    for triple in triples:
        for messages in triple.conversations():
            try:
                example = encoder.example(messages)
            except BadInput as error:
                left_out[str(error)] += 1
                continue
            if len(example) > length:
                left_out[f"longer than {length} tokens"] += 1
            else:
                examples.append(example)
    return examples, dict(left_out)


def _digest_of_examples(examples: Sequence[Example]) -> str:
    """Of tokens and of what is learned: of data, tokenizer and template together."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(np.int64(len(example)).tobytes() + example.ids.tobytes() + example.learned.tobytes())
    return f"sha256:{digest.hexdigest()}"


def _digest_of_network(network: Any) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(network.state_dict().items()):
        digest.update(name.encode() + str(tuple(weight.shape)).encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
