"""Which benchmarks it has, how many items of each are asked, and under which system messages."""

from __future__ import annotations

from orca_guard.contracts import Suite, SuiteArm

SAFETY = Suite(
    name="safety",
    summary="truthfulness, toxicity, honesty, over-refusal, bias and grounding, with two system messages",
    benchmarks={
        "truthfulqa-mc": None,
        "truthfulqa-letters": 400,
        "truthfulqa-answers": 200,
        "toxigen-likelihood": 1000,
        "toxigen-answers": 400,
        "toxigen-completions": 390,
        "hhh-letters": None,
        "hhh-answers": None,
        "hhh-replies": None,
        "xstest-safe": None,
        "xstest-unsafe": None,
        "bbq-ambiguous-likelihood": 500,
        "bbq-disambiguated-likelihood": 500,
        "bbq-ambiguous": 200,
        "bbq-disambiguated": 200,
        "aci-bench": None,
        "qmsum-spans": 100,
        "qmsum": 50,
        "ms-marco": 200,
    },
    arms=(SuiteArm(name="empty", strategy="direct", system=""), SuiteArm(name="cautious", strategy="cautious")),
)
"""All of what is small. Of what is large as many items as tell a share to about five points under each arm; likelihoods
cost less, and get more. Without a judge, answers to TruthfulQA are compared with references alone. ToxiGen's prompts
are put as a turn of a conversation here; raw text is another task, and has a suite of its own. Texts to rest on are
long, and what is longer than a model's context is left out and counted. Both system messages of
Orca 2 are asked: its cautious one raises reasoning, and hallucination threefold (section 6.5)."""
