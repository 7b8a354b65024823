"""Always the first strategy."""

from __future__ import annotations

import pytest

from orca_guard.errors import UsageError
from orca_guard.types import Action, Attempt, Question, Segment
from orca_guard_fixed.selector import FACTORY


def test_it_takes_the_first_and_never_another() -> None:
    selector = FACTORY.make(["a", "b"], {})
    attempt = Attempt(strategy="a", segment=Segment(text="", answer=None), action=Action.BLOCK, verdicts=())
    assert selector.choose(Question.of("?"), []) == "a"
    assert selector.choose(Question.of("?"), [attempt]) is None
    assert not selector.escalates


def test_it_has_no_settings() -> None:
    with pytest.raises(UsageError, match="takes no setting 'x'"):
        FACTORY.make(["a"], {"x": 1})
