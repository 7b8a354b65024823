"""The page: one file that opens without a network and loads nothing, whatever a model wrote into it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from functools import cache
from html import unescape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orca_guard.identity import digest_package
from orca_guard.reports import words
from orca_guard.reports.hostile import shown
from orca_guard.reports.summary import Gate, Summary

FOLDER = Path(__file__).parent / "page"
DISPOSITIONS = ("answered", "ambiguous", "absent", "truncated", "refused", "empty", "blocked", "abstained", "error")
HEAT = 10


class Html:
    """`--format html`."""

    name = "html"
    summary = "one page for a browser"
    suffix = "html"

    def render(self, _run: Path, report: Summary, /) -> str:
        """The page."""
        told: Any = {"headline": words.headline(report), "alarm": words.alarm(report)}
        return page("report", report=report, run_name=report.run.folder, **told)


def page(name: str, *, script: str = "script.js", **values: Any) -> str:
    """A page of `page/NAME.html.j2` with the style of all pages and a script, which its policy names by digest.

    Every text that goes into it is first made safe to look at, and then escaped.
    """
    style, code = _read("style.css"), _read(script)
    allowed = f"style-src {_digest(style)}; script-src {_digest(code)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    template = _environment().get_template(f"{name}.html.j2")
    own = {"style": Markup(style), "script": Markup(code), "policy": policy, "maker": maker()}  # noqa: S704  # our own
    return template.render(own, **values)


@cache
def maker() -> str:
    """Which orca-guard makes pages here: another one may make them otherwise."""
    return f"orca-guard {version('orca-guard')} {digest_package(FOLDER.parents[1])[-12:]}"


def made_by(page: str) -> tuple[str, str]:
    """Which orca-guard a page says it was made by, and of which run's folder; empty where it says neither."""
    found = [re.search(rf'<meta name="{name}" content="([^"<>]*)">', page) for name in ("generator", "orca-guard-run")]
    said = [unescape(match[1]) if match else "" for match in found]
    return said[0], said[1]


def _read(name: str) -> str:
    return (FOLDER / name).read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_safe,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _FILTERS
    environment.globals |= {"dispositions": DISPOSITIONS, "gate_of": words.gate_of, "whole": words.whole}
    environment.globals |= {"grouped": words.grouped, "about": words.about, "heat": heat, "segments": segments}
    environment.globals |= {"gate_least": gate_least}
    return environment


def _safe(value: Any) -> Any:
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def gate_least(gate: Gate) -> int:
    """Where the scale of a gate's plot begins: a difference may lie below 0."""
    return -1 if gate.baseline or min(gate.threshold, gate.value or 0, gate.low or 0) < 0 else 0


def heat(value: float | None, *, lower_is_better: bool = False) -> int:
    """A shade from 0 to `HEAT`, the darkest for the best."""
    if value is None:
        return 0
    return round(HEAT * ((1 - value) if lower_is_better else value))


def segments(counts: Mapping[str, int], total: int) -> list[tuple[str, float, float, int]]:
    """Pieces of a bar of 100: name, start, width and count, in the order of the dispositions."""
    found, start = [], 0.0
    for name in DISPOSITIONS:
        if counts.get(name) and total:
            width = 100 * counts[name] / total
            found.append((name, round(start, 3), round(width, 3), counts[name]))
            start += width
    return found


def _clock(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"  # noqa: PLR2004  # two minutes


_FILTERS: Mapping[str, Callable[..., Any]] = {
    "percent": words.percent,
    "short": words.short,
    "clock": _clock,
    "ended": words.ended,
    "groupby_key": words.by_subject,
    "count": lambda number: f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}"),
}
