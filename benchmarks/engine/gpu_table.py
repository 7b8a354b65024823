"""What was measured on a GPU, as a table, and where."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parents[1] / "results-gpu.json"
PAGE_MARKS = ("<!-- measured on a GPU -->\n", "<!-- /measured on a GPU -->\n")
COLUMNS = ("work", "peer", "peer s", "ours s", "ratio", "reached", "agreement")


def conditions(flops: float, size: float, rounds: int) -> dict[str, Any]:
    """Device, date, versions, and the ceilings that were measured on it: FLOP/s, and bytes a second."""
    import torch  # noqa: PLC0415  # only where there is a device

    about = torch.cuda.get_device_properties(0)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": about.name,
        "memory": int(about.total_memory),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "transformers", "triton", "tokenizers")},
        "matmul": flops,
        "copy": size,
        "rounds": rounds,
    }


def markdown(found: Mapping[str, Any]) -> str:
    """The table, and above it where it was measured."""
    where = found["conditions"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    head = (
        f"{where['date']}; one {where['device']}, {where['memory'] / 2**30:.0f} GiB; {packages}; {where['rounds']} "
        f"rounds, or one where no range is given. Products of bf16 matrices alone: {where['matmul'] / 1e12:.0f} "
        f"TFLOP/s; a copy reads and writes {where['copy'] / 1e12:.2f} TB/s."
    )
    lines = [head, "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    return "\n".join([*lines, *(_row(cells) for one in found["results"] for cells in _cells(one))])


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(one: Mapping[str, Any]) -> Iterator[list[str]]:
    if "peers" in one:
        speeds = one["tokens a second"]
        for peer in one["peers"]:
            reached = f"{speeds[peer['peer']]:,.0f} / {speeds['ours']:,.0f} tokens a second"
            yield _line(one["work"], peer, reached)
    elif "placements" in one:
        for name, apart in one["placements"].items():
            agreed = f"≤ {apart['largest']:.1e}, {apart['identical']} of {apart['of']} answers identical"
            yield [f"110M in fp32, {name}, against one GPU", "", "", "", "", "", agreed]
    elif "missing" in one:
        yield [one["work"], one["peer"], "", "", "", one["missing"], ""]
    elif "share of bandwidth" in one:
        shares, speeds = one["share of bandwidth"], one["tokens a second"]
        reached = f"{shares['peer']:.0%} / {shares['ours']:.0%} of bandwidth, "
        yield _line(one["work"], one, f"{reached}{speeds['peer']:.0f} / {speeds['ours']:.0f} tokens a second")
    elif "share of matmul" in one:
        reached = f"{one['share of matmul']:.0%} of the rate of products, {one['tokens']:,} tokens"
        yield [one["work"], "", "", f"{median(one['seconds']):.2f}", "", reached, ""]
    else:
        tokens = one["tokens"]
        reached = f"{tokens['peer']:,} / {tokens['ours']:,} = {tokens['peer'] / tokens['ours']:.1f} tokens"
        yield _line(one["work"], one, reached)


def _line(work: str, one: Mapping[str, Any], reached: str) -> list[str]:
    ratio, seconds = one["ratio"], one["seconds"]
    spread = f" ({ratio['low']:.1f}-{ratio['high']:.1f})" if seconds["ours"][1:] else ""
    return [
        work,
        f"{one['peer']} ({one['batch']})",
        f"{median(seconds['peer']):.2f}",
        f"{median(seconds['ours']):.2f}",
        f"{ratio['median']:.1f}{spread}",
        reached,
        _agreed(one["agreement"]),
    ]


def _agreed(agreed: Mapping[str, Any]) -> str:
    if "identical" in agreed:
        return f"{agreed['identical']} of {agreed['of']} identical"
    return f"≤ {agreed['largest']:.2f}, same choice {agreed['same choice']:.1%}"
