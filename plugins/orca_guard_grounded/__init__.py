"""Answers that have to rest on a text: ACI-BENCH, QMSum, MS MARCO; and people's labels of such answers.

A row of QMSum (this one is made up):

    {"general_query_list": [{"query": "Summarize the meeting.", "answer": "The mill opens in May."}],
     "specific_query_list": [...], "topic_list": [...],
     "meeting_transcripts": [{"speaker": "Ann", "content": "We open the mill in May."}, ...]}

The pipeline is asked `Summarize the meeting.` with the transcript as its document. `The mill opens in May.` states
nothing that the transcript does not, and scores 0 of *hallucination*; `The mill opens in May and closes in June.`
scores 1. A judge says which it is (`--judge MODEL`), and beside it a scorer that needs no model (*unsupported*); ROUGE
tells how near the answer is to the published one, and *quality* how useful a judge finds it. Items that are longer than
a model's context are left out when the plan is frozen, and counted.

Judges and scorers are themselves held against answers that people have labelled, of RAGTruth, FaithBench, BEGIN,
FActScore and HaluEval 2: the benchmarks named `…-labels`, and `python -m orca_guard_grounded.validation DIR`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orca_guard.contracts import Benchmark
from orca_guard.hookspecs import hookimpl

if TYPE_CHECKING:
    from orca_guard.data.sets import DataSet

ORCA_GUARD_API = 1


@hookimpl
def benchmarks() -> Iterable[Benchmark]:
    """Answers to be written, and answers with labels."""
    from orca_guard_grounded.benchmark import BENCHMARKS  # noqa: PLC0415  # registration stays quick
    from orca_guard_grounded.labels import LABELLED  # noqa: PLC0415  # as above

    return [*BENCHMARKS, *LABELLED]


@hookimpl
def datasets() -> Iterable[DataSet]:
    """Three sets of tasks and five of labels."""
    from orca_guard_grounded import detectors, tasks  # noqa: PLC0415  # as above

    return [tasks.ACI_BENCH, tasks.QMSUM, tasks.MS_MARCO, *detectors.SETS]
