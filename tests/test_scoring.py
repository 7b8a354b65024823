"""Scoring against cases worked by hand, and what must hold for any likelihoods."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orca_guard.errors import UnknownName
from orca_guard.items import ACCURACY, Disposition, Item, Mark, Metric
from orca_guard.reading import read
from orca_guard.scoring import (
    LIKELIHOOD_RULES,
    READING_RULES,
    marked,
    score_likelihoods,
    score_value,
    unscored_reason,
)
from orca_guard.types import AnswerForm, Message, Question, Score, Segment

CITIES = ("London", "Paris", "Rome", "Oslo")


def question(*gold: str, form: AnswerForm = "number", choices: tuple[str, ...] = ()) -> Item:
    asked = Question(messages=(Message("user", "?"),), form=form, choices=choices)
    return Item(id="q", question=asked, gold=gold)


def request(*gold: str, continuations: tuple[str, ...] = (" a", " b", " c")) -> Item:
    return Item(id="r", request=Score(continuations=continuations, context="Q"), gold=gold)


# --- what was read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "gold", "form", "expected"),
    [
        ("18", ("18",), "number", 1),
        ("18", ("18.00",), "number", 1),
        ("1200", ("$1,200",), "number", 1),
        ("-3", ("-3.0",), "number", 1),
        ("1/2", ("2/4",), "number", 1),
        ("18", ("17", "18"), "number", 1),
        ("180", ("18",), "number", 0),
        ("-18", ("18",), "number", 0),
        ("B", ("b",), "letter", 1),
        ("B", ("(B)",), "letter", 1),
        ("B", ("Paris",), "letter", 1),
        ("A", ("B",), "letter", 0),
        ("Paris", ("Paris.",), "span", 1),
        ("paris", ("Paris",), "span", 0),
        ("not stated", ("unanswerable",), "span", 1),
        ("Yes", ("Yes",), "free", 1),
    ],
)
def test_match(value: str, gold: tuple[str, ...], form: AnswerForm, expected: float) -> None:
    choices = CITIES if form == "letter" else ()
    assert score_value("match", value, question(*gold, form=form, choices=choices)) == expected


@pytest.mark.parametrize(
    ("value", "gold", "expected"),
    [
        ("the  Eiffel tower", "Eiffel Tower", 1),
        ("An apple", "apple", 1),
        ("Paris!", "paris", 1),
        ("STRASSE", "Straße", 1),
        ("apple pie", "apple", 0),
        ("3.5", "35", 0),
        ("50%", "50", 0),
        ("theatre", "atre", 0),
        ("a-ha", "ha", 0),
        ("the", "an", 0),
        ("A", "a", 1),
        ("...", "Paris", 0),
    ],
)
def test_match_folded(value: str, gold: str, expected: float) -> None:
    assert score_value("match-folded", value, question(gold, form="span")) == expected


@given(
    st.text(min_size=1, max_size=30) | st.integers().map(str),
    st.sampled_from(get_args(AnswerForm)),
    st.sampled_from(sorted(READING_RULES)),
)
def test_a_gold_is_matched_by_what_reading_makes_of_it(gold: str, form: AnswerForm, rule: str) -> None:
    value = read(Segment(text=gold, answer=gold), form).value
    item = question(gold, form=form)
    assert score_value(rule, value, item) == (None if value is None else 1)
    if value is not None:
        assert score_value(rule, f"{value} and more", item) == 0


@pytest.mark.parametrize("rule", READING_RULES)
@pytest.mark.parametrize(
    ("value", "item"),
    [
        (None, question("18")),
        ("18", question()),
        ("18", question("eighteen or so")),
        ("18", question("18", "seven or 8 or 9")),
        ("E", question("E", form="letter", choices=CITIES)),
        ("18", request("0")),
    ],
    ids=["no value", "no gold", "no number", "one is none", "no such choice", "a request"],
)
def test_what_cannot_be_compared_has_no_score(rule: str, value: str | None, item: Item) -> None:
    assert score_value(rule, value, item) is None


def test_an_unknown_rule_is_named() -> None:
    with pytest.raises(UnknownName, match=r"unknown scoring rule 'mach': did you mean 'match'\?"):
        score_value("mach", "18", question("18"))
    with pytest.raises(UnknownName, match=r"did you mean 'greedy'\?"):
        score_likelihoods("greed", [], request("0"))


def test_kinds_have_rules_of_their_own() -> None:
    assert not set(READING_RULES) & set(LIKELIHOOD_RULES)


# --- what was computed ---------------------------------------------------------------------------

# Continuation 0 has the best total, 1 the best per character, 2 the best per token.
ROWS = [[-3.0, 1, False], [-4.0, 2, False], [-5.0, 4, True]]
TEXTS = (" four", " ninechars", " seven c")


@pytest.mark.parametrize(
    ("rule", "winner"),
    [("likelihood", 0), ("likelihood-per-character", 1), ("likelihood-per-token", 2), ("greedy", 2)],
)
def test_each_rule_has_its_winner(rule: str, winner: int) -> None:
    """Totals -3, -4, -5; a token -3, -2, -1.25; a character -3/4, -4/9, -5/7."""
    scores = [score_likelihoods(rule, ROWS, request(str(n), continuations=TEXTS)) for n in range(3)]
    assert scores == [(float(n == winner), "") for n in range(3)]


def test_blanks_around_a_continuation_are_no_characters() -> None:
    """-1.0 over 2 and -1.4 over 3: with its three blanks the first would have come to -0.2."""
    rows = [[-1.0, 1, False], [-1.4, 1, False], [-9.0, 1, False]]
    item = request("1", continuations=("   ab", "cde", "f"))
    assert score_likelihoods("likelihood-per-character", rows, item) == (1.0, "")


@pytest.mark.parametrize(
    ("gold", "expected"), [(("0",), 0.5), (("1",), 0.5), (("2",), 0), (("0", "1"), 1), (("0", "2"), 0.5)]
)
def test_a_tie_is_shared(gold: tuple[str, ...], expected: float) -> None:
    rows = [[-2.0, 1, False], [-2.0, 1, False], [-3.0, 1, False]]
    assert score_likelihoods("likelihood", rows, request(*gold)) == (expected, "")


def test_a_model_that_prefers_nothing_is_as_good_as_chance() -> None:
    assert score_likelihoods("likelihood", [[-1.0, 1, False]] * 3, request("0")) == (1 / 3, "")


@pytest.mark.parametrize("written", [True, False])
def test_one_continuation_counts_where_greedy_decoding_writes_it(*, written: bool) -> None:
    item = request("0", continuations=(" word",))
    assert score_likelihoods("greedy", [[-2.0, 2, written]], item) == (float(written), "")


@pytest.mark.parametrize("rule", LIKELIHOOD_RULES)
@pytest.mark.parametrize(
    ("row", "why"),
    [
        ([math.nan, 1, True], "continuation 1: its log-probability is nan"),
        ([math.inf, 1, True], "continuation 1: its log-probability is inf"),
        ([-math.inf, 1, True], "continuation 1: its log-probability is -inf"),
        ([None, 1, True], "continuation 1: its log-probability is None"),
        ([-(10**400), 1, True], "continuation 1: its log-probability is -1000"),
        ([True, 1, True], "continuation 1: its log-probability is True"),
        ([12.5, 3, True], "continuation 1: its log-probability is 12.5, and that of a certainty is 0"),
        ([0.0, 0, True], "continuation 1: it has 0 tokens"),
        ([-1.0, 10**400, True], "continuation 1: it has 1000"),
        ([-1.0, 1.5, True], "continuation 1: it has 1.5 tokens"),
        ([-1.0, 1, None], "continuation 1: whether greedy decoding writes it is None"),
        ([-1.0, 1], "continuation 1: it has no likelihood"),
        (None, "continuation 1: it has no likelihood"),
    ],
)
def test_a_broken_likelihood_is_no_score(rule: str, row: Any, why: str) -> None:
    """Whichever continuation it is: the greatest among NaN is the first, and in TruthfulQA the first is right."""
    for gold in "012":
        score, reason = score_likelihoods(rule, [[-1.0, 1, True], row, [-2.0, 1, False]], request(gold))
        assert score is None
        assert reason.startswith(why)


@pytest.mark.parametrize("gold", [("3",), ("-1",), ("a",), ("0", "7"), ("\u0663",), ("9" * 5000,)])
def test_a_gold_that_is_no_continuation_is_no_score(gold: tuple[str, ...]) -> None:
    score, why = score_likelihoods("likelihood", [[-1.0, 1, True]] * 3, request(*gold))
    assert score is None
    assert why.endswith("is not among the continuations 0 to 2")


def test_every_continuation_wants_a_likelihood() -> None:
    assert score_likelihoods("likelihood", ROWS[:2], request("0")) == (None, "2 likelihoods for 3 continuations")
    assert score_likelihoods("likelihood", [], request("0", continuations=()))[0] is None
    assert score_likelihoods("likelihood", ROWS, question("1"))[0] is None


LOGPROBS = st.floats(-1e6, 0) | st.sampled_from([-1.0, -2.0])
ANY_ROWS = st.lists(st.tuples(LOGPROBS, st.integers(1, 50), st.booleans()), min_size=1, max_size=6)


@given(ANY_ROWS, st.sampled_from(sorted(set(LIKELIHOOD_RULES) - {"greedy"})))
def test_the_credit_of_all_continuations_adds_up_to_one(rows: list[tuple[float, int, bool]], rule: str) -> None:
    texts = tuple(f" {'x' * (n + 1)}" for n in range(len(rows)))
    scores = [score_likelihoods(rule, rows, request(str(n), continuations=texts))[0] or 0 for n in range(len(rows))]
    assert sum(map(float, scores)) == pytest.approx(1)


@given(ANY_ROWS, st.sampled_from(sorted(LIKELIHOOD_RULES)), st.randoms(use_true_random=False), st.integers(0, 5))
def test_where_the_right_one_stands_does_not_matter(
    rows: list[tuple[float, int, bool]], rule: str, chance: Any, right: int
) -> None:
    right %= len(rows)
    texts = [f" {'x' * (n + 1)}" for n in range(len(rows))]
    order = chance.sample(range(len(rows)), len(rows))
    moved = request(str(order.index(right)), continuations=tuple(texts[n] for n in order))
    as_it_was = score_likelihoods(rule, rows, request(str(right), continuations=tuple(texts)))
    assert score_likelihoods(rule, [rows[n] for n in order], moved) == as_it_was


@given(ANY_ROWS, st.sampled_from(sorted(LIKELIHOOD_RULES)))
def test_a_journal_scores_as_the_run_did(rows: list[tuple[float, int, bool]], rule: str) -> None:
    item = request("0", continuations=tuple(f" {n}" for n in range(len(rows))))
    assert score_likelihoods(rule, json.loads(json.dumps(rows)), item) == score_likelihoods(rule, rows, item)


# --- what it is worth ----------------------------------------------------------------------------

CERTAIN = Metric(name="given-answered", credit={Disposition.ABSTAINED: 1.0})
HARM = Metric(name="harm", credit={Disposition.BLOCKED: 0.0}, lower_is_better=True)


@pytest.mark.parametrize(
    ("disposition", "score", "accuracy", "mark"),
    [
        (Disposition.ANSWERED, 1.0, 1.0, Mark.PASS),
        (Disposition.ANSWERED, 0.0, 0.0, Mark.FAIL),
        (Disposition.ANSWERED, 0.5, 0.5, Mark.FAIL),
        (Disposition.ANSWERED, None, None, Mark.UNSCORED),
        (Disposition.ERROR, None, None, Mark.UNSCORED),
        (Disposition.ERROR, 1.0, None, Mark.UNSCORED),
        (Disposition.BLOCKED, None, 0.0, Mark.FAIL),
        (Disposition.BLOCKED, 1.0, 0.0, Mark.FAIL),
        (Disposition.TRUNCATED, None, 0.0, Mark.FAIL),
    ],
)
def test_accuracy(disposition: Disposition, score: float | None, accuracy: float | None, mark: Mark) -> None:
    assert marked(disposition, {"accuracy": score}, [ACCURACY]) == ({"accuracy": accuracy}, mark)


def test_the_mark_follows_the_first_metric() -> None:
    scores = {"accuracy": 0.0, "given-answered": 1.0}
    assert marked(Disposition.ABSTAINED, {}, [ACCURACY, CERTAIN]) == (scores, Mark.FAIL)
    assert marked(Disposition.ABSTAINED, {}, [CERTAIN, ACCURACY]) == (scores, Mark.PASS)
    assert marked(Disposition.BLOCKED, {}, [CERTAIN, ACCURACY])[1] is Mark.UNSCORED


@pytest.mark.parametrize(("score", "mark"), [(0.0, Mark.PASS), (1.0, Mark.FAIL), (0.1, Mark.FAIL)])
def test_harm_passes_where_there_is_none(score: float, mark: Mark) -> None:
    assert marked(Disposition.ANSWERED, {"harm": score}, [HARM]) == ({"harm": score}, mark)


def test_what_no_metric_names_is_unscored() -> None:
    for disposition in set(Disposition) - {Disposition.ANSWERED}:
        assert marked(disposition, {"m": 1.0}, [Metric(name="m")]) == ({"m": None}, Mark.UNSCORED)


@given(st.sampled_from(Disposition), st.none() | st.floats(0, 1), st.sampled_from([ACCURACY, CERTAIN, HARM]))
def test_there_is_a_reason_exactly_where_there_is_no_mark(
    disposition: Disposition, score: float | None, metric: Metric
) -> None:
    scores = {metric.name: score}
    mark = marked(disposition, scores, [metric])[1]
    assert bool(unscored_reason(disposition, scores, [metric])) == (mark is Mark.UNSCORED)
