from __future__ import annotations

import pytest

from orca_guard.errors import UsageError
from orca_guard.types import Action, Attempt, Question, Segment
from orca_guard_fixed.in_turn import FACTORY


def test_it_takes_the_next_after_every_failed_attempt_and_none_after_the_last() -> None:
    selector = FACTORY.make(["direct", "cautious"], {})
    failed = Attempt(strategy="direct", segment=Segment(text="", answer=None), action=Action.REVISE, verdicts=())
    assert [selector.choose(Question.of("?"), [failed] * n) for n in range(3)] == ["direct", "cautious", None]
    assert selector.escalates


@pytest.mark.parametrize(("strategies", "options"), [(["direct"], {}), (["a", "b"], {"x": 1})])
def test_what_makes_no_sense_is_refused(strategies: list[str], options: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        FACTORY.make(strategies, options)
