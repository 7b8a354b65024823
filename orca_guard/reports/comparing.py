"""Forms of a comparison: for a terminal, for a browser, for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orca_guard.reports.comparison import Comparison, Row
from orca_guard.reports.hostile import shown
from orca_guard.reports.noise import Noise
from orca_guard.reports.terminal import banner, safe
from orca_guard.reports.words import CAUTION, Headline, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

SAYS = {"better": "green", "worse": "bold red", "no difference shown": "", "not comparable": "yellow"}
CHANGES = 12


def headline(found: Comparison) -> Headline:
    """What the comparison comes to: never that two are equal, for that is not what was tested."""
    says = Counter(row.says for row in found.rows)
    if not says:
        return Headline("NOTHING TO COMPARE", "The two have no item in common.", "open")
    words = {"worse": "worse", "better": "better", "no difference shown": "not shown to differ"}
    words["not comparable"] = "not comparable"
    told = ", ".join(f"{word} on {says[key]}" for key, word in words.items() if says[key])
    sentence = f"Of {len(found.rows)} measure{'s' * (len(found.rows) != 1)}, b is {told}."
    if says["worse"]:
        return Headline("MIXED" if says["better"] else "WORSE", sentence, "bad")
    if says["better"]:
        return Headline("BETTER", sentence, "good")
    if says["no difference shown"]:
        return Headline("NO DIFFERENCE SHOWN", f"{sentence} See what could have been found: “detectable”.", "plain")
    return Headline("NOT COMPARABLE", f"{sentence} Too little is common to both.", "open")


def alarm(found: Comparison) -> Headline | None:
    """What stands first where one of the two does not verify."""
    faulty = dict.fromkeys(side.folder for side in (found.a, found.b) if side.faulty)
    if not faulty:
        return None
    return Headline(
        "DOES NOT VERIFY", f"{CAUTION.partition(':')[0]}: {' and '.join(faulty)} contradicts itself.", "bad"
    )


def points(value: float | None) -> str:
    """A difference in points of a hundred, with its sign."""
    return "\N{EN DASH}" if value is None else f"{100 * value:+.1f}"


def probability(value: float | None) -> str:
    """A p-value."""
    if value is None:
        return "\N{EN DASH}"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004  # three digits


SCHEMA = Path(__file__).parent / "comparison.schema.json"


def document(found: Comparison) -> str:
    """As JSON, in the form that `comparison.schema.json` describes."""
    return json.dumps(msgspec.to_builtins(found), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, made of the types themselves."""
    made = msgspec.json.schema(Comparison)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "orca-guard comparison", **made}


def page(found: Comparison) -> str:
    """As a page for a browser."""
    from orca_guard.reports.html import page as rendered  # noqa: PLC0415  # a terminal needs no templates

    noise = [(one, noise_told(one)) for one in found.noise]
    most = max([0.05, *(abs(x) for row in found.rows for x in (row.low, row.high, row.difference) if x is not None)])
    return rendered(
        "comparison",
        found=found,
        headline=headline(found),
        alarm=alarm(found),
        noise=noise,
        most=math.ceil(20 * most) / 20,
        points=points,
        probability=probability,
    )


def terminal(found: Comparison) -> RenderableType:
    """For a terminal of eighty columns."""
    parts: list[RenderableType] = [banner(head) for head in (alarm(found), headline(found)) if head]
    parts += [_sides(found), Text(), Text("Differences", style="bold"), _rows(found)]
    parts += [safe(f"- {line}", "yellow") for line in found.unpaired]
    if found.noise:
        parts += [Text(), Text("Noise: items that came out differently", style="bold"), *map(_noise, found.noise)]
    parts += [Text(), Text("What changed in the plan", style="bold"), *_changes(found)]
    parts += [Text(), Text("Items that passed on one side alone", style="bold"), _flips(found)]
    return Group(*parts)


def _sides(found: Comparison) -> Text:
    told = [
        f"{word}: {' '.join(filter(None, (side.folder, side.arm)))} ({side.verdict})"
        for word, side in (("a", found.a), ("b", found.b))
    ]
    return safe(" · ".join(told), "dim")


def _rows(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("measure", overflow="fold")
    for name in ("a", "b", "points", "from, to", "p", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in found.rows:
        reach = "" if row.low is None else f"{points(row.low)}, {points(row.high)}"
        numbers = (percent(row.value_a), percent(row.value_b), points(row.difference), reach, probability(row.adjusted))
        table.add_row(_measure(row), *numbers, str(row.n))
    return table


def _measure(row: Row) -> Text:
    who = row.a if row.a == row.b else f"{row.a} → {row.b}"
    name = safe(f"{row.benchmark} {row.metric}, {who}: ")
    name.append(row.says, SAYS[row.says])
    if row.detectable is not None:
        name.append(f"; detectable {100 * row.detectable:.1f}", "dim")
    return name


def _noise(one: Noise) -> Text:
    return safe(f"{one.benchmark}, {one.subject}: {noise_told(one)}")


def noise_told(one: Noise) -> str:
    """In words."""
    reach = "" if one.low is None else f" (95 % from {percent(one.low)} to {percent(one.high)})"
    return f"{one.flipped} of {one.n}, {percent(one.share)}{reach}; no difference below that is the model's"


def _changes(found: Comparison) -> list[Text]:
    lines = [safe(f"- {line}") for line in found.changes[:CHANGES]] or [Text("nothing", style="dim")]
    if (more := len(found.changes) - CHANGES + found.more_changes) > 0:
        lines.append(Text(f"and {more} more", style="dim"))
    return lines


def _flips(found: Comparison) -> RenderableType:
    if not found.flips:
        return Text("none", style="dim")
    lost = [flip.a.item for flip in found.flips if not flip.gained]
    gained = [flip.b.item for flip in found.flips if flip.gained]
    lines = [_listed("lost", lost, "red"), _listed("gained", gained, "green")]
    if found.more_flips:
        lines.append(Text(f"and {found.more_flips} more", style="dim"))
    return Group(*lines)


def _listed(word: str, items: Sequence[str], style: str) -> Text:
    named = ", ".join(items[:20]) + (f", and {len(items) - 20} more" if len(items) > 20 else "")  # noqa: PLR2004  # room
    return Text.assemble((f"{word} {len(items)}: ", style), shown(named))


FORMS: Mapping[str, Callable[[Comparison], Any]] = {"terminal": terminal, "html": page, "json": document}
"""What `--format` takes."""
