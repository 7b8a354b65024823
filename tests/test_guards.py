"""Guards in their place: operating points, soundness, masks, time limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.contracts import GuardSettings
from orca_guard.errors import GuardFailed, UsageError
from orca_guard.guards import (
    MASK,
    ClassifierTarget,
    GuardTimeout,
    ScorerGuard,
    decide,
    effect,
    from_scorer,
    redact,
    within,
)
from orca_guard.testing.scripted import ScriptedClassifiers, pipeline_of
from orca_guard.types import Action, Classify, Exhibit, Failure, Question, Stage, Verdict
from orca_guard_hygiene.prompt_injection import PromptInjection

EXHIBIT = Exhibit(text="some text", stage="input", part="user", question=Question.of("?"))
SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)).map(lambda p: (p[0], p[0] + p[1])), max_size=6)


@pytest.mark.parametrize(("threshold", "action"), [(0.0, Action.BLOCK), (1.0, Action.ALLOW)])
def test_a_score_at_the_threshold_is_a_hit(threshold: float, action: Action) -> None:
    guard = from_scorer(PromptInjection()).make(GuardSettings(threshold=threshold))
    assert isinstance(guard, ScorerGuard)
    verdict = guard.judge([EXHIBIT])[0]
    assert (verdict.action, verdict.score, verdict.threshold) == (action, 0.0, threshold)


def test_a_scorers_guard_takes_another_action_and_no_options() -> None:
    guard = from_scorer(PromptInjection()).make(GuardSettings(threshold=0, action=Action.ABSTAIN))
    assert isinstance(guard, ScorerGuard)
    assert guard.judge([EXHIBIT])[0].action is Action.ABSTAIN
    with pytest.raises(UsageError, match="takes no setting 'x'"):
        from_scorer(PromptInjection()).make(GuardSettings(options={"x": 1}))


@pytest.mark.parametrize("threshold", [5.0, -0.1, 1.01])
def test_a_threshold_that_no_score_reaches_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError, match="its scores lie between 0 and 1"):
        from_scorer(PromptInjection()).make(GuardSettings(threshold=threshold))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.5, 1.5])
def test_a_score_that_is_none_is_no_verdict(score: float) -> None:
    class Wild(PromptInjection):
        def score(self, exhibits: Sequence[Exhibit], /) -> Sequence[float]:
            return [score for _ in exhibits]

    with pytest.raises(GuardFailed, match="between 0 and 1"):
        ScorerGuard(Wild(), 0.5, Action.BLOCK).judge([EXHIBIT])


@given(st.lists(st.sampled_from(list(Action))), st.sampled_from([None, Action.BLOCK, Action.ABSTAIN, Action.REDACT]))
def test_an_error_is_never_an_allow_by_itself(actions: list[Action], on_error: Action | None) -> None:
    verdicts = [Verdict(action=a, on_error=on_error if a is Action.ERROR else None) for a in actions]
    if Action.ERROR in actions:
        assert decide(verdicts) in {Action.BLOCK, Action.ABSTAIN}
    assert all(decide(verdicts) is not Action.ALLOW for v in verdicts if effect(v) is not Action.ALLOW)


def test_the_most_severe_decides() -> None:
    order = [Action.ALLOW, Action.REDACT, Action.REVISE, Action.ABSTAIN, Action.BLOCK]
    for n, action in enumerate(order):
        assert decide([Verdict(action=a) for a in order[: n + 1]]) is action
    assert decide([]) is Action.ALLOW


@given(st.text(alphabet="abc", min_size=40, max_size=50), SPANS)
def test_a_mask_hides_what_is_marked_and_nothing_else(text: str, spans: list[tuple[int, int]]) -> None:
    hidden = {i for start, end in spans for i in range(start, end)}
    kept = "".join(c for i, c in enumerate(text) if i not in hidden)
    assert redact(text, spans).replace(MASK, "") == kept


def test_spans_that_touch_are_one_mask() -> None:
    assert redact("abcdef", [(3, 5), (1, 3)]) == f"a{MASK}f"


def test_a_call_that_takes_too_long_is_left_behind() -> None:
    started = time.perf_counter()
    with pytest.raises(GuardTimeout, match="guard 'slow' took longer than"):
        within(0.05, lambda: time.sleep(5), of="slow")
    assert time.perf_counter() - started < 2
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "guard slow")


def test_what_a_call_raises_comes_out() -> None:
    def fails() -> None:
        raise KeyError("x")

    def leaves() -> None:
        raise SystemExit(0)

    with pytest.raises(KeyError):
        within(1, fails, of="g")
    with pytest.raises(GuardFailed, match="raised SystemExit"):
        within(1, leaves, of="g")
    assert within(1, lambda: 3, of="g") == 3


# --- classifiers that guards ask -----------------------------------------------------------------


def served(script: Callable[[Any], Any], *, timeout_s: float = 0.2, load: Callable[[str], None] | None = None) -> Any:
    server = ScriptedClassifiers(script=script)
    if load is not None:
        server.load = load  # type: ignore[attr-defined]
    return ClassifierTarget(server, timeout_s)


def classify(n: int) -> Classify:
    return Classify(model="c", texts=(f"text {n}",))


def test_every_request_has_its_own_reply() -> None:
    replies = dict(served(lambda text: {"n": float(text.split()[1])}, timeout_s=5).run(map(classify, range(200))))
    assert [replies[classify(n)].scores[0]["n"] for n in range(200)] == list(range(200))


def test_a_classifier_that_hangs_has_failed_and_is_asked_nothing_more() -> None:
    free = threading.Event()
    target = served(lambda _: free.wait(30) and {})
    started = time.monotonic()
    for wanted in ("took longer than 0.2 s", "still at what it was asked before"):
        [(_, reply)] = target.run([classify(1)])
        assert isinstance(reply, Failure)
        assert isinstance(reply.error, GuardFailed)
        assert wanted in str(reply.error)
    assert time.monotonic() - started < 10
    free.set()


def test_loading_takes_nothing_of_the_time() -> None:
    target = served(lambda _: {"bad": 0.5}, load=lambda _: time.sleep(0.5))
    assert [reply.scores for _, reply in target.run([classify(1)])] == [({"bad": 0.5},)]


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit(3)])
@pytest.mark.parametrize("when", ["loading", "asked"])
def test_a_classifier_that_raises_fails_what_waits(error: BaseException, when: str) -> None:
    def fail(*_: Any) -> Any:
        raise error

    if when == "loading" and not isinstance(error, Exception):
        pytest.skip("an exit while loading ends the process, as it should")
    target = served(fail if when == "asked" else lambda _: {}, load=fail if when == "loading" else None)
    replies = dict(target.run(map(classify, range(3))))
    assert len(replies) == 3
    assert all(isinstance(reply, Failure) for reply in replies.values())


def test_a_guard_whose_classifier_hangs_blocks() -> None:
    free = threading.Event()

    class Asking:
        name = "asking"
        stages: frozenset[Stage] = frozenset({"output"})

        def examine(self, exhibit: Exhibit, /) -> Any:
            reply = yield Classify(model="c", texts=(exhibit.text,))
            return Verdict(action=Action.ALLOW, score=reply.scores[0]["bad"])

    def hangs(_: Any) -> Mapping[str, float]:
        free.wait(30)
        return {"bad": 0.0}

    pipeline = replace(pipeline_of(guards=[Asking()]), classifiers=ScriptedClassifiers(script=hangs))
    place = replace(pipeline.guards[0], timeout_s=0.2)
    answer = replace(pipeline, guards=(place,)).ask("anything")
    free.set()
    assert answer.action is Action.BLOCK
    assert "took longer than 0.2 s" in answer.error
