"""No wording that is kept for evaluation is trained on, in whatever case and punctuation."""

from random import Random

from orca_guard_nano.recipe import arithmetic, chat, compositions, facts, mixture, reading
from orca_guard_nano.recipe.items import CATEGORIES, NOT_STATED, READING, Phrasings, normal

TABLES = [
    *(relation.ask for relation in facts.RELATIONS), facts.COUNT_ASK, facts.PART_ASK,
    *arithmetic.SPOKEN.values(), arithmetic.ASKED, arithmetic.STARTS, arithmetic.GAINS, arithmetic.LOSSES, arithmetic.ENDS,
    arithmetic.TIMES, arithmetic.SHARES, arithmetic.ORDER,
    *(form for _, form, _ in compositions.POINTERS), *compositions.TARGETS.values(), compositions.RANKED,
    *(form for _, form, _ in compositions.COMPARED), compositions.MANY_LEGS, compositions.MANY_UNITS,
    *compositions.CHECKED.values(),
    *(form for domain in reading.DOMAINS for tie in domain for form in (tie.says, tie.asks, tie.asks_back) if form),
]  # fmt: skip


def test_seen_and_unseen_wordings_are_apart() -> None:
    tables: list[Phrasings] = TABLES
    for table in tables:
        assert not {normal(form) for form in table.seen} & {normal(form) for form in table.unseen}


def test_framed_questions_are_none_of_the_unseen() -> None:
    for relation in facts.RELATIONS:
        assert relation.framed.seen
        assert not {normal(f) for f in relation.framed.seen} & {normal(f) for f in relation.ask.unseen}


def test_what_is_asked_of_strangers_is_none_of_the_unseen() -> None:
    kept = {normal(form.format_map(dict.fromkeys("nmwky", "n"))) for form in chat.UNSEEN_BEYOND}
    assert not {normal(form.format(s="n")) for form in chat.OF_STRANGERS} & kept


def test_no_trained_question_is_one_of_an_unseen_template() -> None:
    rng = Random(1)
    for category in CATEGORIES:
        unseen = {normal(mixture.fresh(rng, category=category, unseen=True, test=True).question) for _ in range(150)}
        trained = {normal(mixture.fresh(rng, category=category).question) for _ in range(1500)}
        if category != READING:  # there a sentence can be the unseen part, and the question a trained one
            assert not unseen & trained


def test_relations_made_up_on_the_spot_are_said_and_asked_alike() -> None:
    rng = Random(2)
    for _ in range(200):
        text, asked = reading.questions(rng, reading.invented(rng))
        for question, quote, answer in asked:
            assert quote in text
            assert answer in quote
            assert answer != NOT_STATED
            assert question.strip()
            assert "{" not in question + quote
