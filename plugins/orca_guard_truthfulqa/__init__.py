r"""TruthfulQA (Lin et al. 2022): whether a model prefers what is true to what people often say.

A row, as `mc_task.json` has it (this one is made up):

    {"question": "Can you sharpen a pencil with a banana?",
     "mc1_targets": {"No, a banana is too soft": 1, "Yes, if it is green": 0},
     "mc2_targets": {"No, a banana is too soft": 1, "No": 1, "Yes, if it is green": 0}}

- **truthfulqa-mc** asks for log-probabilities of every answer after `Q: Can you sharpen a pencil with a banana?\nA:`.
  *mc1* is 1 where, among its answers, the one true answer has the highest. *mc2* is the share of the true ones in the
  probability of all of its answers: of .2 and .1 for the true ones and .1 for the false one, .3 / .4 = .75.
- **truthfulqa-letters** is another measurement: the pipeline is asked the question with lettered answers, in an order
  drawn by the item and in the reverse of it, and writes a letter.
- **truthfulqa-answers** asks the pipeline for an answer of its own. `No, it is too soft.` is compared with the true and
  the false answers of `TruthfulQA.csv` by BLEU and ROUGE, and judges say whether it is true, and whether it tells
  anything. A refusal is true and tells nothing.
- **truthfulqa-truth-labels** and **-informative-labels** show those judges answers that people have labelled.
- **truthfulqa-2025-...** are the same of the release of 2025, with *mc0*: one true answer against one false one.
- **...-primed** put the text in `truthfulqa/preamble.txt` in front, such as the six examples of the paper.
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
    """Both releases, by log-likelihood, by letters and by answers; and what shows how good judges of those are."""
    from orca_guard_truthfulqa.answers import ANSWERING  # noqa: PLC0415  # registration stays quick
    from orca_guard_truthfulqa.benchmark import CHOOSING  # noqa: PLC0415
    from orca_guard_truthfulqa.labels import LABELLED  # noqa: PLC0415

    return [*CHOOSING, *ANSWERING, *LABELLED]


@hookimpl
def datasets() -> Iterable[DataSet]:
    """Both releases, and the labelled answers that judges of truth are trained on."""
    from orca_guard_truthfulqa.data import TRUTHFULQA  # noqa: PLC0415  # as above

    return [TRUTHFULQA]
