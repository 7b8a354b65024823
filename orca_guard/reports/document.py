"""The report as JSON, in the form that `report.schema.json` describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from orca_guard.reports.summary import Summary

SCHEMA = Path(__file__).parent / "report.schema.json"


class Document:
    """`--format json`."""

    name = "json"
    summary = "everything, for programs; its JSON Schema is in the package"
    suffix = "json"

    def render(self, _run: Path, report: Summary, /) -> str:
        """The document, in ASCII: what acts on a terminal is escaped."""
        return json.dumps(msgspec.to_builtins(report), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, made of the types themselves."""
    made = msgspec.json.schema(Summary)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "orca-guard report",
        **made,
    }
