"""Writes what the experiment on choosing strategies found into docs/nano.md: `python docs/nano_figures.py`.

Tables and both pictures come from docs/nano/results.json alone. Another file of results may be named.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "nano.md"
RESULTS = Path(__file__).parent / "nano" / "results.json"
BEGIN, END = "<!-- measured by docs/nano_figures.py -->\n", "<!-- end -->"
SIGNS = {"right": "accuracy, points", "tokens": "tokens an answer"}
SMALLEST = 0.001
COLOURS = ("#777777", "#d55e00", "#0072b2", "#cc79a7", "#009e73")

Table = dict[str, Any]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def lines(found: Table) -> Iterator[str]:
    """Everything between the marks."""
    plan = found["plan"]
    seeds = ", ".join(map(str, plan["seeds"]))
    yield f"Seeds {seeds}; {found['device']}, torch {found['torch']}, Python {found['python']}."
    yield f"Plan, hashed before training: sha256 `{found['plan_sha256']}`.\n"
    yield from _bases(found)
    for split in ("known", "unseen"):
        yield from _arms(found, split)
    yield "![accuracy beside cost](nano/frontier.svg)\n"
    for measure in ("right", "tokens"):
        yield from _contrasts(found, measure)
    yield "![differences in accuracy](nano/contrasts.svg)\n"
    yield from _steering(found)


def _bases(found: Table) -> Iterator[str]:
    categories = found["plan"]["categories"]
    yield "### What each strategy is worth on the selection split\n"
    yield "Right in % and tokens an answer, means over the seeds' bases.\n"
    yield f"| strategy | {' | '.join(categories)} | form asked for |"
    yield "|---|" + "---|" * (len(categories) + 1)
    tables = [result["selection"] for result in found["results"]]
    for strategy in tables[0]:
        cells = []
        for category in categories:
            rows = [table[strategy][category] for table in tables]
            right, cost = _mean([100 * r[1] / r[0] for r in rows]), _mean([r[2] / r[0] for r in rows])
            cells.append(f"{right:.1f} ({cost:.1f})")
        rows = [row for table in tables for row in table[strategy].values()]
        form = 100 * sum(row[3] for row in rows) / sum(row[0] for row in rows)
        yield f"| {strategy} | {' | '.join(cells)} | {form:.1f} % |"
    yield f"\n| seed | {' | '.join(categories)} | best single |"
    yield "|---|" + "---|" * (len(categories) + 1)
    for result in found["results"]:
        choice = result["choice"]
        yield f"| {result['seed']} | {' | '.join(choice['best'][c] for c in categories)} | {choice['single']} |"
    yield ""


def _arms(found: Table, split: str) -> Iterator[str]:
    yield f"### Arms under the cautious message, {'fresh items of known' if split == 'known' else 'unseen'} templates\n"
    yield "| arm | right % | seeds from, to | tokens an answer | well-formed % | form measured best % |"
    yield "|---|---|---|---|---|---|"
    for arm, at in found["summary"]["arms"][split].items():
        right = [100 * value for value in at["right"]]
        yield (
            f"| {arm} | {_mean(right):.1f} | {min(right):.1f} to {max(right):.1f} | {_mean(at['tokens']):.1f} "
            f"| {100 * _mean(at['formed']):.1f} | {100 * _mean(at['best']):.1f} |"
        )
    yield ""


def _signed(number: float) -> str:
    """With its sign, which nothing has that comes to 0.0."""
    return f"{round(number, 1) + 0.0:+.1f}"


def _contrasts(found: Table, measure: str) -> Iterator[str]:
    scale = 100 if measure == "right" else 1
    yield f"### Erased minus another arm: {SIGNS[measure]}\n"
    yield "| against | templates | difference | 95 % interval | p | p, Holm | each seed |"
    yield "|---|---|---|---|---|---|---|"
    for row in found["summary"]["contrasts"]:
        if row["measure"] == measure:
            seeds = ", ".join(_signed(scale * gap) for gap in row["seeds"])
            low, mean, high = (_signed(scale * row[key]) for key in ("low", "mean", "high"))
            yield (
                f"| {row['against']} | {row['split']} | {mean} | {low} to {high} "
                f"| {_p(row['p'])} | {_p(row['holm'])} | {seeds} |"
            )
    yield ""


def _p(value: float) -> str:
    return f"< {SMALLEST}" if value < SMALLEST else f"{value:.3f}"


def _steering(found: Table) -> Iterator[str]:
    yield "### Asked for a strategy by its own message: form in %, right in %\n"
    results = found["results"]
    strategies = list(results[0]["selection"])
    yield f"| arm | {' | '.join(strategies)} |"
    yield "|---|" + "---|" * len(strategies)
    for arm in results[0]["steering"]:
        cells = []
        for strategy in strategies:
            rows = [row for result in results for row in result["steering"][arm][strategy].values()]
            count = sum(row[0] for row in rows)
            cells.append(f"{100 * sum(r[3] for r in rows) / count:.0f}, {100 * sum(r[1] for r in rows) / count:.0f}")
        yield f"| {arm} | {' | '.join(cells)} |"


def _svg(width: int, height: int, parts: Iterable[str], *, title: str) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13" role="img"><title>{title}</title>\n'
        f'<rect width="{width}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#222") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _line(x: float, y: float, x2: float, y2: float, *, colour: str = "#bbb", width: float = 1) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def frontier(found: Table) -> str:
    """Accuracy over tokens an answer; a dot a seed, one colour an arm; filled: known, hollow: unseen templates."""
    parts = [_line(60, 360, 620, 360), _line(60, 20, 60, 360)]
    parts += [_text(60 + 14 * tokens, 378, str(tokens), anchor="middle") for tokens in range(0, 41, 10)]
    for share in range(30, 101, 10):
        y = 360 - (share - 30) * 340 / 70
        parts += [_line(60, y, 620, y, colour="#eee"), _text(52, y + 4, f"{share} %", anchor="end")]
    parts.append(_text(340, 396, "tokens an answer", anchor="middle"))
    for split, arms in found["summary"]["arms"].items():
        for colour, (arm, at) in zip(COLOURS, arms.items(), strict=True):
            fill = colour if split == "known" else "white"
            for right, cost in zip(at["right"], at["tokens"], strict=True):
                x, y = 60 + 14 * cost, 360 - (100 * right - 30) * 340 / 70
                dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}">'
                parts.append(f"{dot}<title>{arm}</title></circle>")
    for number, (colour, arm) in enumerate(zip(COLOURS, found["summary"]["arms"]["known"], strict=True)):
        parts += [
            f'<circle cx="660" cy="{40 + 22 * number}" r="5" fill="{colour}"/>',
            _text(672, 44 + 22 * number, arm),
        ]
    parts += [_text(654, 44 + 22 * 6, "filled: known templates"), _text(654, 44 + 22 * 7, "hollow: unseen ones")]
    return _svg(840, 405, parts, title="Accuracy of each arm and seed beside the tokens of an answer")


def differences(found: Table) -> str:
    """Each accuracy contrast with its interval, and a dot for every seed."""
    rows = [row for row in found["summary"]["contrasts"] if row["measure"] == "right"]

    def place(gap: float) -> float:
        return 330 + 100 * gap * 13

    parts = [_line(place(0), 20, place(0), 30 + 34 * len(rows), colour="#555")]
    for points in range(-10, 36, 5):
        x = place(points / 100)
        parts += [
            _line(x, 20, x, 30 + 34 * len(rows), colour="#eee"),
            _text(x, 50 + 34 * len(rows), f"{points:+d}", anchor="middle"),
        ]
    for number, row in enumerate(rows):
        y = 40 + 34 * number
        parts.append(_text(8, y + 4, f"{row['against']}, {row['split']}"))
        parts.append(_line(place(row["low"]), y, place(row["high"]), y, colour="#0072b2", width=3))
        parts += [f'<circle cx="{place(gap):.1f}" cy="{y}" r="3" fill="#999"/>' for gap in row["seeds"]]
        parts.append(f'<rect x="{place(row["mean"]) - 4:.1f}" y="{y - 4}" width="8" height="8" fill="#0072b2"/>')
    parts.append(_text(place(0.12), 72 + 34 * len(rows), "points of accuracy: erased minus this arm", anchor="middle"))
    return _svg(840, 84 + 34 * len(rows), parts, title="Differences in accuracy with 95 % intervals")


def written(page: str, rows: Iterable[str]) -> str:
    """The page with the tables put between its marks."""
    before, mark, rest = page.partition(BEGIN)
    return f"{before}{mark}" + "\n".join(rows) + f"\n{END}{rest.partition(END)[2]}"


def outputs(found: Table) -> dict[Path, str]:
    """Every file that follows from the results."""
    folder = RESULTS.parent
    return {
        PAGE: written(PAGE.read_text("utf-8"), lines(found)),
        folder / "frontier.svg": frontier(found),
        folder / "contrasts.svg": differences(found),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS, help="results.json of a run")
    found = json.loads(parser.parse_args().results.read_text("utf-8"))
    text = json.dumps(found["plan"], sort_keys=True, indent=1) + "\n"
    if hashlib.sha256(text.encode()).hexdigest() != found["plan_sha256"]:
        raise SystemExit("the plan in these results is not the one that was hashed before training")
    for path, content in outputs(found).items():
        path.write_text(content, "utf-8")


if __name__ == "__main__":
    main()
