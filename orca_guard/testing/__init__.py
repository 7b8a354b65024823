"""What plugin authors test with: a scripted model, and the contracts every plugin is held to."""

from __future__ import annotations

from orca_guard.testing.known import KnownLoader, KnownModel, known_models
from orca_guard.testing.scripted import ScriptedClassifiers, ScriptedModel, pipeline_of
from orca_guard.testing.suites import (
    check_asking_guard,
    check_benchmark,
    check_guard,
    check_report_form,
    check_scorer,
    check_strategy,
)

__all__ = [
    "KnownLoader",
    "KnownModel",
    "ScriptedClassifiers",
    "ScriptedModel",
    "check_asking_guard",
    "check_benchmark",
    "check_guard",
    "check_report_form",
    "check_scorer",
    "check_strategy",
    "known_models",
    "pipeline_of",
]
