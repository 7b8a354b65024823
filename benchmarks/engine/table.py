"""What was measured, as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

LAYERS = {"15M": 6 * 12 * 288 * 288, "110M": 12 * 12 * 768 * 768, "BERT-base": 12 * 12 * 768 * 768}
"""Weights in the layers, to the nearest per cent."""
HEADS = {"15M": 288 * 16_384, "110M": 768 * 16_384, "BERT-base": 0}
COLUMNS = (
    "work",
    "model",
    "dtype",
    "peer",
    "peer s",
    "ours s",
    "ratio",
    "tokens",
    "peak, peer / ours",
    "agreement",
    "off own float32, peer / ours",
)


def written_into(page: Path, marks: tuple[str, str], text: str) -> None:
    """Put a text between two marks of a page."""
    before, rest = page.read_text("utf-8").split(marks[0])
    page.write_text(f"{before}{marks[0]}{text}\n{marks[1]}{rest.split(marks[1])[1]}", "utf-8")


def markdown(results: Sequence[Mapping[str, Any]], where: Mapping[str, Any]) -> str:
    """The table, and above it where it was measured."""
    lines = [_where(results, where), "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    return "\n".join([*lines, *(row(one, where["engine"]) for one in results)])


def row(one: Mapping[str, Any], engine: str) -> str:
    """A line of it, marked where it was measured with another state of the engine than this."""
    return _row(_cells(one, "" if one["measured"]["engine"] == engine else " *"))


def _where(results: Sequence[Mapping[str, Any]], where: Mapping[str, Any]) -> str:
    measured = [one["measured"] for one in results]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    names = list(dict.fromkeys(name for one in measured for name in one["peak"]))
    peaks = ", ".join(f"{name} {_range(one['peak'][name] / 1e9 for one in measured)}" for name in names)
    loads = max((load for one in measured for load in one["loads"]), default=0.0)
    told = (
        f"{_range((one['date'] for one in measured), ' to ')}; {where['processor']}; {packages}; "
        f"{_range(one['rounds'] for one in measured)} rounds. Products of matrices alone: {peaks} GFLOP/s. "
        f"Load of the machine before and after a line: at most {loads:.1f}."
    )
    if any(one["engine"] != where["engine"] for one in measured):
        told += " Lines marked * were measured with an earlier state of the engine."
    return told


def _range(values: Iterable[Any], to: str = "-") -> str:
    """Of texts, or of numbers without their fractions."""
    told = [value if isinstance(value, str) else f"{value:.0f}" for value in sorted(values)]
    return to.join(dict.fromkeys((told[0], told[-1]))) if told else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(one: Mapping[str, Any], mark: str) -> list[str]:
    seconds = {side: sorted(values)[len(values) // 2] for side, values in one["seconds"].items()}
    ratio = one["ratio"]
    cells = [f"{one['work']}{mark}", one["model"], one["dtype"], f"{one['peer']} ({one['batch']})"]
    cells += [f"{seconds['peer']:.2f}", f"{seconds['ours']:.2f}"]
    spread = f" ({ratio['low']:.1f}-{ratio['high']:.1f})" if one["seconds"]["ours"][1:] else ""
    cells.append(f"{ratio['median']:.1f}{spread}")
    if "tokens" not in one:
        return [*cells, "", "", "", ""]
    tokens = one["tokens"]
    cells.append(f"{tokens['peer']:,} / {tokens['ours']:,} = {tokens['peer'] / tokens['ours']:.1f}")
    shares = [_share(one, side, seconds[side]) for side in ("peer", "ours")]
    cells += [" / ".join(f"{share:.0%}" for share in shares), _agreed(one["agreement"])]
    return [*cells, _off(one.get("off single precision"))]


def _share(one: Mapping[str, Any], side: str, seconds: float) -> float:
    """Of the measured peak that the products of layers and output layer come to, attention left out."""
    flops = 2 * (one["tokens"][side] * LAYERS[one["model"]] + one["rows"][side] * HEADS[one["model"]])
    dtype = "float32" if side == "peer" and one["kind"] == "classify" else one["dtype"]
    return float(flops / seconds / one["measured"]["peak"][dtype])


def _agreed(agreed: Mapping[str, Any]) -> str:
    if "identical" in agreed:
        return f"{agreed['identical']} of {agreed['of']} identical"
    more = f", same choice {agreed['same choice']:.1%}" if "same choice" in agreed else ""
    return f"≤ {agreed['largest']:.1e}{more}"


def _off(errors: Mapping[str, Mapping[str, float]] | None) -> str:
    """Mean and largest error of both sides, and what ours is of the peer's."""
    if errors is None:
        return ""
    ours, peer = errors["ours"], errors["peer"]
    return ", ".join(
        f"{name} {peer[key]:.3f} / {ours[key]:.3f} = {ours[key] / peer[key]:.0%}"
        for name, key in (("mean", "mean"), ("most", "largest"))
    )
