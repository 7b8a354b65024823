"""The model card: what a model was trained on and how, what came of it, and what it is not to be relied on for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orca_guard_tuning.prepare import Counted, Prepared, Source
from orca_guard_tuning.trainer import Told

LIMITS = (
    "It was tuned on the answers of a teacher, and has that teacher's faults beside its own.",
    "The losses above are of text like its training data, and say nothing about other questions.",
    "Whether its answers are right or harmless was not measured here: `orca-guard audit` does that.",
)
"""What holds of every model that is tuned so."""

_COLUMNS = (
    *("stage", "examples", "epochs", "rate", "length", "steps", "tokens"),
    *("with a loss", "rows filled", "first", "last", "held out"),
)


def card(prepared: Prepared, log: Sequence[Told], *, weights: Mapping[str, str], processes: int, precision: str) -> str:
    """The text of the card.

    Args:
        prepared: what was trained.
        log: its losses.
        weights: file → digest.
        processes: that trained together.
        precision: of the computation.
    """
    return "\n".join((
        *_front(prepared),
        *_about(prepared, weights, processes=processes, precision=precision),
        *_data(prepared),
        *_stages(prepared, log),
        *_limits(prepared),
    ))  # fmt: skip


def _front(prepared: Prepared) -> Iterator[str]:
    table = prepared.table
    yield "---"
    yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    if table.licence:
        yield f"license: {json.dumps(table.licence)}"
    if not Path(prepared.reference).is_dir():  # a name that the hub knows
        yield f"base_model: {json.dumps(prepared.reference)}"
    yield "---\n"


def _about(prepared: Prepared, weights: Mapping[str, str], *, processes: int, precision: str) -> Iterator[str]:
    table, identity = prepared.table, prepared.identity
    yield f"# {table.name or 'A tuned model'}\n"
    if table.description:
        yield f"{table.description}\n"
    yield f"Made by `orca-guard tune run` from `{_origin(prepared)}`.\n"
    yield f"- Weights it started from: `{identity['start']}` (of the parameters, in float32)"
    yield from (f"- `{name}`: `{digest}`" for name, digest in sorted(weights.items()))
    longest = max(stage.length for stage in table.stages)
    yield f"- Trained length: rows of up to {longest} tokens. Longer conversations are outside of what it was tuned on."
    yield f"- Licence: {table.licence or 'not stated'}"
    yield f"- Seed {table.seed}, {precision}, {processes} process{'es' if processes > 1 else ''}, " + ", ".join(
        f"{name} {number}" for name, number in sorted(identity["versions"].items())
    )
    systems = {system for count in prepared.counted for system in count.systems}
    yield from (
        f"- System message in place of the erased ones: {json.dumps(s, ensure_ascii=False)}" for s in sorted(systems)
    )
    yield ""


def _origin(prepared: Prepared) -> str:
    """What was started from, without where it lies."""
    start = prepared.table.start
    return Path(start).name if Path(start).is_dir() else start


def _data(prepared: Prepared) -> Iterator[str]:
    yield "## Data\n"
    yield "| stage | file | triples | digest |"
    yield "|---|---|---|---|"
    for count in prepared.counted:
        yield from (_source(count.name, source) for source in count.sources)
    yield from (_source("held out", source) for source in prepared.held_out_sources)
    yield ""
    for source in [s for count in prepared.counted for s in count.sources if s.report]:
        yield from _filtered(source)
    for count in prepared.counted:
        for reason, number in sorted(count.left_out.items()):
            yield f"- Stage {count.name}: {number} left out, {reason}."
    yield ""


def _source(stage: str, source: Source) -> str:
    return f"| {stage} | `{source.path.name}` | {source.triples} | `{source.digest}` |"


def _filtered(source: Source) -> Iterator[str]:
    """What `tune filter` counted, where its report lies beside the file and is of the file as it is."""
    assert source.report is not None, "it has one"
    report: dict[str, Any] = json.loads(source.report.read_text("utf-8"))
    if report.get("digest") != source.digest:
        return
    dropped = ", ".join(f"{number} {reason}" for reason, number in report["dropped"].items()) or "none"
    yield f"- `{source.path.name}` was filtered: {report['kept']} of {report['read']} kept; dropped: {dropped}."
    against = ", ".join(f"{name} ({found['triples']})" for name, found in report["overlaps"].items())
    yield f"  Overlaps of {report['ngram']} words looked for with: {against or 'nothing'}."


def _stages(prepared: Prepared, log: Sequence[Told]) -> Iterator[str]:
    yield "## Training\n"
    yield "AdamW, loss on answers alone, " + (
        f"an example a row ({prepared.alone})." if prepared.alone else "examples packed and kept apart."
    )
    yield "Losses are nats per answer token: the mean of a stage's first and last tenth of steps.\n"
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * len(_COLUMNS) + "|"
    for number, (told, count) in enumerate(zip(prepared.table.stages, prepared.counted, strict=True)):
        losses = [t.loss for t in log if t.place.stage == number and not t.held_out]
        held = next((f"{t.loss:.4f}" for t in log if t.place.stage == number and t.held_out), "")
        tenth = max(1, len(losses) // 10)
        ends = [f"{sum(part) / tenth:.4f}" for part in (losses[:tenth], losses[-tenth:])]
        cells = (told.name, count.examples, told.epochs, f"{told.rate:g}", told.length, count.steps, count.tokens)
        filled = f"{count.filled:.0%}"
        yield f"| {' | '.join(map(str, (*cells, count.answer_tokens, filled, *ends, held)))} |"
    yield "\n![Loss by step](loss.svg)\n"


def _limits(prepared: Prepared) -> Iterator[str]:
    yield "## Limits\n"
    yield from (f"- {limit}" for limit in (*prepared.table.limits, *LIMITS))
    yield ""


def counted_row(count: Counted) -> dict[str, Any]:
    """What became of a stage's triples, as JSON."""
    return {
        "stage": count.name,
        "triples": sum(source.triples for source in count.sources),
        "examples": count.examples,
        "left_out": dict(count.left_out),
        "tokens": count.tokens,
        "answer_tokens": count.answer_tokens,
        "steps": count.steps,
        "rows": count.rows,
        "filled": round(count.filled, 4),
    }
