"""What a run's folder says, gathered once and shown in many forms; no model, no plugin, nothing but the folder."""

from __future__ import annotations

FORMS = {
    "html": "html:Html",
    "json": "document:Document",
    "junit": "junit:JUnit",
    "markdown": "markdown:Markdown",
    "terminal": "terminal:Terminal",
}
"""Our own forms, and the module and class of each, imported when it is asked for. Plugins have more."""
