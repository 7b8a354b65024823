"""Closed-book questions about the world, each fact asked in many ways."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from . import wordings, world
from .items import FACTS, Item, Phrasings


@dataclass(frozen=True)
class Relation:
    """Pairs of subject and value, the sentence that states one, and the ways to ask for the value."""

    name: str
    sentence: str
    ask: Phrasings
    pairs: tuple[tuple[str, str], ...]
    weight: float = 1.0
    framed: Phrasings = Phrasings(())

    def state(self, subject: str, value: str) -> str:
        """The fact as a sentence."""
        text = self.sentence.format(s=subject, v=value)
        return text[0].upper() + text[1:]


def _of(field: str) -> tuple[tuple[str, str], ...]:
    return tuple((c.name, getattr(c, field)) for c in world.COUNTRIES if getattr(c, field))


def _animal(field: str) -> tuple[tuple[str, str], ...]:
    rows = ((a.plural if field == "legs" else a.name, getattr(a, field)) for a in world.ANIMALS)
    return tuple(sorted({row for row in rows if row[1]}))


CAPITAL: Final = Relation(
    "capital",
    "The capital of {s} is {v}.",
    Phrasings(
        (
            "What is the capital of {s}?",
            "capital of {s}",
            "Which city is the capital of {s}?",
            "Name the capital of {s}.",
            "{s}'s capital?",
            "What is {s}'s capital city?",
            "The capital of {s} is",
            "What city is the capital of {s}?",
            "Tell me the capital of {s}.",
            "capital {s}",
            "Do you know the capital of {s}?",
            "What's the capital of {s}?",
        ),
        ("Which city serves as {s}'s capital?", "I am looking for the capital of {s}.", "{s}: what is its capital?"),
    ),
    _of("capital"),
    3.0,
)
RELATIONS: tuple[Relation, ...] = (
    CAPITAL,
    Relation(
        "capital-of",
        "{s} is the capital of {v}.",
        Phrasings(
            (
                "{s} is the capital of which country?",
                "Which country has {s} as its capital?",
                "What country is {s} the capital of?",
                "Of which country is {s} the capital?",
            ),
            ("Name the country whose capital is {s}.",),
        ),
        tuple((v, s) for s, v in _of("capital")),
    ),
    Relation(
        "continent",
        "{s} is in {v}.",
        Phrasings(
            (
                "On which continent is {s}?",
                "Which continent is {s} in?",
                "What continent is {s} on?",
                "In which part of the world is {s}?",
                "{s} is on which continent?",
                "Where is {s}?",
            ),
            ("To which continent does {s} belong?", "On what continent would you find {s}?"),
        ),
        _of("continent"),
        1.5,
    ),
    Relation(
        "currency",
        "The currency of {s} is the {v}.",
        Phrasings(
            (
                "What is the currency of {s}?",
                "Which currency is used in {s}?",
                "currency of {s}",
                "What money do they use in {s}?",
                "What is {s}'s currency?",
                "Which money is used in {s}?",
                "What currency does {s} use?",
            ),
            ("With which currency do people pay in {s}?",),
        ),
        _of("currency"),
        1.5,
    ),
    Relation(
        "language",
        "The language of {s} is {v}.",
        Phrasings(
            (
                "What language is spoken in {s}?",
                "Which language do people speak in {s}?",
                "language of {s}",
                "What is the language of {s}?",
                "What do people speak in {s}?",
                "What language do they speak in {s}?",
            ),
            ("Which language would you hear in {s}?",),
        ),
        _of("language"),
        1.5,
    ),
    Relation(
        "symbol",
        "The chemical symbol of {s} is {v}.",
        Phrasings(
            (
                "What is the chemical symbol of {s}?",
                "What is the symbol for {s}?",
                "symbol of {s}",
                "chemical symbol for {s}",
                "Which symbol does {s} have?",
                "What is the chemical symbol for {s}?",
                "What's the symbol of {s}?",
            ),
            ("How is {s} written in the periodic table?", "Give the symbol of the element {s}."),
        ),
        tuple((name, symbol) for name, symbol, _ in world.ELEMENTS),
        1.5,
    ),
    Relation(
        "number",
        "The atomic number of {s} is {v}.",
        Phrasings(
            (
                "What is the atomic number of {s}?",
                "atomic number of {s}",
                "Which atomic number does {s} have?",
                "What's the atomic number of {s}?",
                "{s} has which atomic number?",
            ),
            ("State the atomic number of the element {s}.",),
        ),
        tuple((name, str(number)) for name, _, number in world.ELEMENTS),
        1.5,
    ),
    Relation(
        "element",
        "{s} is the symbol of {v}.",
        Phrasings(
            (
                "Which element has the symbol {s}?",
                "What element is {s}?",
                "What does the chemical symbol {s} stand for?",
                "{s} is the symbol of which element?",
            ),
            ("Name the element with the symbol {s}.",),
        ),
        tuple((symbol, name) for name, symbol, _ in world.ELEMENTS),
    ),
    Relation(
        "legs",
        "{s} have {v} legs.",
        Phrasings(
            (
                "How many legs do {s} have?",
                "how many legs have {s}",
                "How many legs do {s} have in total?",
                "What number of legs do {s} have?",
            ),
            ("On how many legs do {s} walk?",),
        ),
        tuple(row for row in _animal("legs") if row[1] != "0"),
    ),
    Relation(
        "legs-one",
        "a {s} has {v} legs.",
        Phrasings(
            (
                "How many legs does a {s} have?",
                "how many legs has a {s}",
                "A {s} has how many legs?",
                "number of legs of a {s}",
            ),
            ("How many legs are there on a {s}?",),
        ),
        tuple((a.name, a.legs) for a in world.ANIMALS if a.legs not in ("", "0") and a.name[0] not in "aeiou"),
    ),
    Relation(
        "kind",
        "the {s} is a kind of {v}.",
        Phrasings(
            (
                "What kind of animal is the {s}?",
                "What type of animal is a {s}?",
                "What kind of animal is a {s}?",
                "To which group of animals does the {s} belong?",
            ),
            ("In which class of animals is the {s}?",),
        ),
        tuple(row for row in _animal("kind")),
    ),
    Relation(
        "young",
        "A young {s} is called a {v}.",
        Phrasings(
            (
                "What is a young {s} called?",
                "What is a baby {s} called?",
                "What do you call a baby {s}?",
                "name for a young {s}",
            ),
            ("What is the word for the young of a {s}?",),
        ),
        _animal("young"),
    ),
    Relation(
        "sound",
        "The sound of a {s} is {v}.",
        Phrasings(
            ("What sound does a {s} make?", "What does a {s} say?", "Which sound does a {s} make?", "sound of a {s}"),
            ("How does a {s} sound?",),
        ),
        world.SOUNDS,
    ),
    Relation(
        "author",
        "{s} was written by {v}.",
        Phrasings(
            (
                "Who wrote {s}?",
                "Who is the author of {s}?",
                "author of {s}",
                "{s} was written by whom?",
                "Who was {s} written by?",
                "Which author wrote {s}?",
            ),
            ("Whose work is {s}?", "Name the writer of {s}."),
        ),
        world.WORKS,
        1.5,
    ),
    Relation(
        "painter",
        "{s} was painted by {v}.",
        Phrasings(
            ("Who painted {s}?", "Who is the painter of {s}?", "{s} was painted by whom?"),
            ("Which artist painted {s}?",),
        ),
        world.PAINTINGS,
        0.4,
    ),
    Relation(
        "inventor",
        "{s} was invented by {v}.",
        Phrasings(
            ("Who invented {s}?", "Who is the inventor of {s}?", "{s} was invented by whom?"),
            ("Whose invention is {s}?",),
        ),
        world.INVENTIONS,
        0.5,
    ),
    Relation(
        "discoverer",
        "{s} was discovered by {v}.",
        Phrasings(
            ("Who discovered {s}?", "{s} was discovered by whom?", "Who found {s}?"), ("Whose discovery is {s}?",)
        ),
        world.DISCOVERIES,
        0.5,
    ),
    Relation(
        "colour",
        "The colour of {s} is {v}.",
        Phrasings(
            (
                "What colour is {s}?",
                "What is the colour of {s}?",
                "What color is {s}?",
                "colour of {s}",
                "Which colour is {s}?",
                "what color is {s}",
            ),
            ("Which colour does {s} have?", "Of what color is {s}?"),
        ),
        world.COLOURS,
    ),
    Relation(
        "opposite",
        "The opposite of {s} is {v}.",
        Phrasings(
            (
                "What is the opposite of {s}?",
                "opposite of {s}",
                "What's the opposite of {s}?",
                "Which word is the opposite of {s}?",
            ),
            ("Name a word that means the opposite of {s}.",),
        ),
        tuple(
            sorted(
                {(a, b) for a, b in world.OPPOSITES}
                | {(b, a) for a, b in world.OPPOSITES if b not in {"light", "old", "new", "short"}}
            )
        ),
    ),
    Relation(
        "after-day",
        "The day after {s} is {v}.",
        Phrasings(
            ("Which day comes after {s}?", "What day is after {s}?", "What day follows {s}?"),
            ("If today is {s}, what day is tomorrow?",),
        ),
        tuple((d, world.DAYS[(i + 1) % 7]) for i, d in enumerate(world.DAYS)),
        0.4,
    ),
    Relation(
        "before-day",
        "The day before {s} is {v}.",
        Phrasings(
            ("Which day comes before {s}?", "What day is before {s}?"), ("If today is {s}, what day was yesterday?",)
        ),
        tuple((d, world.DAYS[i - 1]) for i, d in enumerate(world.DAYS)),
        0.4,
    ),
    Relation(
        "after-month",
        "The month after {s} is {v}.",
        Phrasings(
            ("Which month comes after {s}?", "What month is after {s}?", "What month follows {s}?"),
            ("Which month do we have when {s} ends?",),
        ),
        tuple((m[0], world.MONTHS[(i + 1) % 12][0]) for i, m in enumerate(world.MONTHS)),
        0.5,
    ),
    Relation(
        "before-month",
        "The month before {s} is {v}.",
        Phrasings(
            ("Which month comes before {s}?", "What month is before {s}?"), ("Which month ends when {s} begins?",)
        ),
        tuple((m[0], world.MONTHS[i - 1][0]) for i, m in enumerate(world.MONTHS)),
        0.5,
    ),
    Relation(
        "month-days",
        "{s} has {v} days.",
        Phrasings(
            ("How many days does {s} have?", "How many days are in {s}?", "How many days are there in {s}?"),
            ("How long is {s} in days?",),
        ),
        tuple((m, str(n)) for m, n in world.MONTHS if m != "February"),
        0.5,
    ),
    Relation(
        "planet-place",
        "Planet number {v} from the Sun is {s}.",
        Phrasings(
            ("Which planet from the Sun is {s}, by number?", "What is the place of {s} from the Sun?"),
            ("Counting from the Sun, which number is {s}?",),
        ),
        tuple((p, str(i)) for i, p in enumerate(world.PLANETS, 1)),
        0.3,
    ),
)

COUNT_ASK: Final = Phrasings(
    (
        "How many {p} are in {w}?",
        "How many {p} are there in {w}?",
        "how many {p} in {w}",
        "How many {p} make {w}?",
        "{w} has how many {p}?",
    ),
    ("What is the number of {p} in {w}?",),
).more(*wordings.COUNTS)
PART_ASK: Final = Phrasings(
    ("How many {p} does {w} have?", "how many {p} has {w}", "{w} has how many {p}?", "How many {p} are on {w}?"),
    ("What is the number of {p} of {w}?",),
).more(*wordings.PARTS)


def _framed(relation: Relation) -> Phrasings:
    """Every frame around every noun phrase of a relation, but for what is kept for evaluation."""
    every = (frame.format(q=phrase) for frame in wordings.FRAMES for phrase in wordings.NOUNS[relation.name])
    return Phrasings(Phrasings((), relation.ask.unseen).more(*every).seen)


RELATIONS = tuple(
    replace(relation, ask=relation.ask.more(*wordings.FACTS[relation.name]), framed=_framed(relation))
    for relation in RELATIONS
)
BY_NAME: Final = {relation.name: relation for relation in RELATIONS}
FRAMED_SHARE: Final = 0.35
WEIGHTS: Final = tuple(relation.weight * max(6, len(relation.pairs)) ** 0.75 for relation in RELATIONS)


def related(rng: Random, *, unseen: bool) -> Item:
    """A question from a table of pairs."""
    relation = rng.choices(RELATIONS, WEIGHTS)[0]
    subject, value = rng.choice(relation.pairs)
    # The frames are many and alike: with more than a third of the questions they would drown the other wordings.
    asked = relation.framed if not unseen and rng.random() < FRAMED_SHARE else relation.ask
    form, name = asked.pick(rng, unseen=unseen)
    name += "f" * (asked is relation.framed)
    question = form.format(s=subject)
    return Item(
        category=FACTS,
        template=f"{relation.name} {name}",
        question=question[0].upper() + question[1:],
        answer=value,
        recall=(relation.state(subject, value),),
    )


def counted(rng: Random, *, unseen: bool) -> Item:
    """How many of one thing make another."""
    if rng.random() < 0.5:
        part, whole, number = rng.choice(world.COUNTS)
        phrasings = COUNT_ASK
    else:
        whole, part, number = rng.choice(world.PARTS)
        phrasings = PART_ASK
    form, name = phrasings.pick(rng, unseen=unseen)
    question = form.format(p=part, w=whole)
    return Item(
        category=FACTS,
        template=f"count {name}",
        question=question[0].upper() + question[1:],
        answer=str(number),
        recall=(f"The number of {part} of {whole} is {number}.",),
    )


def general(rng: Random, *, unseen: bool) -> Item:
    """Plain knowledge, asked as it is written; the typing varies, the wording does not."""
    del unseen
    question, answer, sentence = rng.choice(world.GENERAL)
    return Item(category=FACTS, template="general", key="always", question=question, answer=answer, recall=(sentence,))


def generate(rng: Random, *, unseen: bool = False) -> Item:
    """One closed-book item."""
    makers, weights = ((related, counted), (9, 1)) if unseen else ((related, counted, general), (75, 9, 16))
    return rng.choices(makers, weights)[0](rng, unseen=unseen)
