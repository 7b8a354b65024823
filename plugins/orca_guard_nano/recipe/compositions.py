"""Questions that take two facts, or a fact and a sum: chains and comparisons over the world."""

from random import Random
from typing import Final

from . import wordings, world
from .arithmetic import work
from .facts import BY_NAME, Relation
from .items import COMPOSITIONS, Item, Phrasings


def _unique(field: str) -> tuple[tuple[str, str], ...]:
    pairs = BY_NAME[field].pairs
    values = [value for _, value in pairs]
    return tuple((value, subject) for subject, value in pairs if values.count(value) == 1)


# How a country can be pointed at without its name, and the relation that says so.
POINTERS: tuple[tuple[str, Phrasings, tuple[tuple[str, str], ...]], ...] = (
    (
        "capital",
        Phrasings(
            (
                "the country whose capital is {v}",
                "the country with the capital {v}",
                "the country that has {v} as its capital",
            ),
            ("the country governed from {v}",),
        ),
        _unique("capital"),
    ),
    (
        "currency",
        Phrasings(
            (
                "the country where the {v} is used",
                "the country whose currency is the {v}",
                "the country that uses the {v}",
                "the country where people pay with the {v}",
            ),
            ("the country with the {v} as its money",),
        ),
        _unique("currency"),
    ),
    (
        "language",
        Phrasings(
            (
                "the country where {v} is spoken",
                "the country where people speak {v}",
                "the country whose language is {v}",
            ),
            ("the country in which you hear {v}",),
        ),
        _unique("language"),
    ),
)
TARGETS: dict[str, Phrasings] = {
    "capital": Phrasings(
        (
            "What is the capital of {c}?",
            "Which city is the capital of {c}?",
            "capital of {c}",
            "Name the capital of {c}.",
        ),
        ("{c} has which capital?",),
    ),
    "continent": Phrasings(
        ("On which continent is {c}?", "Which continent is {c} in?"), ("{c} is part of which continent?",)
    ),
    "currency": Phrasings(
        ("What is the currency of {c}?", "Which currency is used in {c}?", "What money is used in {c}?"),
        ("{c} has which currency?",),
    ),
    "language": Phrasings(
        ("What language is spoken in {c}?", "Which language do people speak in {c}?"), ("{c} speaks which language?",)
    ),
}


POINTERS = tuple((name, form.more(*wordings.POINTERS[name]), pairs) for name, form, pairs in POINTERS)
TARGETS = {name: form.more(*wordings.HOPS[name]) for name, form in TARGETS.items()}


def hop(rng: Random, *, unseen: bool) -> Item:
    """A country described by one fact, asked for another."""
    while True:
        via, pointer, pairs = rng.choice(POINTERS)
        target = rng.choice([name for name in TARGETS if name != via])
        value, country = rng.choice(pairs)
        found = dict(BY_NAME[target].pairs).get(country)
        if found:
            break
    first, second = (unseen, False) if rng.random() < 0.5 else (False, unseen)
    described, one = pointer.pick(rng, unseen=first)
    asked, two = TARGETS[target].pick(rng, unseen=second)
    question = asked.format(c=described.format(v=value))
    return Item(
        category=COMPOSITIONS,
        template=f"hop {via} {target} {one}.{two}",
        question=question[0].upper() + question[1:],
        answer=found,
        recall=(BY_NAME[via].state(country, value), BY_NAME[target].state(country, found)),
        steps=(f"The country is {country}",),
    )


COMPARED: tuple[tuple[str, Phrasings, bool], ...] = (
    (
        "number",
        Phrasings(
            (
                "Which has the higher atomic number, {a} or {b}?",
                "Which is heavier, {a} or {b}?",
                "Does {a} or {b} have the higher atomic number?",
                "Which element has the larger atomic number, {a} or {b}?",
                "which is heavier: {a} or {b}",
            ),
            ("Of {a} and {b}, which has the greater atomic number?",),
        ),
        True,
    ),
    (
        "number",
        Phrasings(
            (
                "Which has the lower atomic number, {a} or {b}?",
                "Which is lighter, {a} or {b}?",
                "Which element has the smaller atomic number, {a} or {b}?",
            ),
            ("Of {a} and {b}, which is lighter?",),
        ),
        False,
    ),
    (
        "legs",
        Phrasings(
            ("Which have more legs, {a} or {b}?", "Do {a} or {b} have more legs?", "Who has more legs, {a} or {b}?"),
            ("Of {a} and {b}, which have more legs?",),
        ),
        True,
    ),
    (
        "legs",
        Phrasings(
            ("Which have fewer legs, {a} or {b}?", "Do {a} or {b} have fewer legs?"),
            ("Of {a} and {b}, which have fewer legs?",),
        ),
        False,
    ),
    (
        "month-days",
        Phrasings(
            ("Which month is longer, {a} or {b}?", "Which has more days, {a} or {b}?"),
            ("Does {a} or {b} last longer?",),
        ),
        True,
    ),
    (
        "planet-place",
        Phrasings(
            ("Which planet is farther from the Sun, {a} or {b}?", "Which is farther from the Sun, {a} or {b}?"),
            ("Of {a} and {b}, which is farther from the Sun?",),
        ),
        True,
    ),
    (
        "planet-place",
        Phrasings(
            ("Which planet is closer to the Sun, {a} or {b}?", "Which is nearer to the Sun, {a} or {b}?"),
            ("Of {a} and {b}, which is closer to the Sun?",),
        ),
        False,
    ),
)


def _choices(*asked: str) -> tuple[str, ...]:
    """Ways to put two things to choose from around a question."""
    forms = (form.replace("{x}", question) for form in wordings.CHOICES for question in asked)
    return tuple(form[0].upper() + form[1:] for form in forms)


COMPARED = tuple((name, form.more(*_choices(*wordings.COMPARED[name, more])), more) for name, form, more in COMPARED)
COMPARED_WEIGHTS: Final = (5, 3, 2, 1, 1, 2, 2)
# Neighbours whose atomic weights run against their numbers, so that "heavier" would be untrue of them.
REVERSED: Final = ({"argon", "potassium"}, {"iodine", "xenon"}, {"nickel", "copper"})


def comparison(rng: Random, *, unseen: bool) -> Item:
    """Two subjects and a number each."""
    name, phrasings, more = rng.choices(COMPARED, COMPARED_WEIGHTS)[0]
    relation: Relation = BY_NAME[name]
    while True:
        (a, x), (b, y) = rng.sample(relation.pairs, 2)
        if x != y and {a, b} not in REVERSED:
            break
    form, index = phrasings.pick(rng, unseen=unseen)
    high, low = max(int(x), int(y)), min(int(x), int(y))
    best = a if (int(x) == high) == more else b
    return Item(
        category=COMPOSITIONS,
        template=f"compare {name} {more} {index}",
        question=form.format(a=a, b=b),
        answer=best,
        recall=(relation.state(a, x), relation.state(b, y)),
        steps=(f"{high} is more than {low}",),
    )


RANKS: Final = (
    (world.BY_SIZE, "bigger", "smaller"),
    (world.BY_SIZE, "larger", "smaller"),
    (world.BY_SPEED, "faster", "slower"),
    (world.BY_HEAT, "hotter", "colder"),
)
RANKED: Final = Phrasings(
    (
        "Which is {w}, {a} or {b}?",
        "What is {w}, {a} or {b}?",
        "Is {a} or {b} {w}?",
        "{a} or {b}, which is {w}?",
        "which one is {w}: {a} or {b}",
    ),
    ("Of {a} and {b}, which is {w}?", "Tell me which is {w}: {a} or {b}?"),
).more(*_choices(*wordings.RANKED))


def rank(rng: Random, *, unseen: bool) -> Item:
    """Two things from one ordered list."""
    order, up, down = rng.choice(RANKS)
    low, high = sorted(rng.sample(range(len(order)), 2))
    things = [order[low], order[high]]
    rng.shuffle(things)
    more = rng.random() < 0.6
    form, index = RANKED.pick(rng, unseen=unseen)
    question = form.format(a=things[0], b=things[1], w=up if more else down)
    sentence = f"{order[high]} is {up} than {order[low]}."
    return Item(
        category=COMPOSITIONS,
        template=f"rank {up} {index}",
        question=question[0].upper() + question[1:],
        answer=order[high] if more else order[low],
        recall=(sentence[0].upper() + sentence[1:],),
        steps=(f"So {order[low]} is {down} than {order[high]}",),
    )


MANY_LEGS: Final = Phrasings(
    ("How many legs do {n} {s} have?", "How many legs do {n} {s} have together?", "{n} {s} have how many legs?"),
    ("How many legs are there on {n} {s}?",),
).more(*wordings.MANY_LEGS)
UNITS: Final = (
    ("days", "a week", "weeks"),
    ("months", "a year", "years"),
    ("hours", "a day", "days"),
    ("minutes", "an hour", "hours"),
    ("seconds", "a minute", "minutes"),
    ("eggs", "a dozen", "dozen"),
    ("years", "a century", "centuries"),
    ("years", "a decade", "decades"),
)
MANY_UNITS: Final = Phrasings(
    ("How many {p} are in {n} {w}?", "How many {p} are there in {n} {w}?", "{n} {w} are how many {p}?"),
    ("{n} {w} make how many {p}?",),
).more(*wordings.MANY_UNITS)


def multiple(rng: Random, *, unseen: bool) -> Item:
    """A fact, times a small number."""
    n = rng.randint(2, 12)
    if rng.random() < 0.5:
        s, legs = rng.choice(BY_NAME["legs"].pairs)
        form, index = MANY_LEGS.pick(rng, unseen=unseen)
        question, each, fact = form.format(n=n, s=s), int(legs), BY_NAME["legs"].state(s, legs)
    else:
        part, whole, plural = rng.choice(UNITS)
        each = next(number for p, w, number in world.COUNTS if (p, w) == (part, whole))
        form, index = MANY_UNITS.pick(rng, unseen=unseen)
        question, fact = form.format(n=n, p=part, w=plural), f"The number of {part} of {whole} is {each}."
    return Item(
        category=COMPOSITIONS,
        template=f"multiple {index}",
        question=question,
        answer=str(n * each),
        recall=(fact,),
        steps=(work(n, each, sign="*"),),
    )


CHECKED = {
    "capital": Phrasings(
        ("Is {v} the capital of {s}?", "Is the capital of {s} {v}?", "is it true that {v} is the capital of {s}?"),
        ("Does {s} have {v} as its capital?",),
    ),
    "continent": Phrasings(("Is {s} in {v}?", "Is {s} a country in {v}?"), ("Does {s} belong to {v}?",)),
    "currency": Phrasings(
        ("Is the {v} the currency of {s}?", "Do they use the {v} in {s}?"), ("Do people in {s} pay with the {v}?",)
    ),
    "language": Phrasings(("Do people speak {v} in {s}?", "Is {v} spoken in {s}?"), ("Would you hear {v} in {s}?",)),
    "symbol": Phrasings(("Is {v} the symbol of {s}?", "Is {v} the chemical symbol for {s}?"), ("Does {v} mean {s}?",)),
    "author": Phrasings(("Did {v} write {s}?", "Was {s} written by {v}?"), ("Is {v} the author of {s}?",)),
    "kind": Phrasings(("Is the {s} a kind of {v}?", "Is a {s} a {v}?"), ("Does the {s} count as a {v}?",)),
}


CHECKED = {name: form.more(*wordings.CHECKED[name]) for name, form in CHECKED.items()}


def verification(rng: Random, *, unseen: bool) -> Item:
    """Whether a stated fact is one."""
    name = rng.choice(sorted(CHECKED))
    pairs = BY_NAME[name].pairs
    subject, value = rng.choice(pairs)
    true = rng.random() < 0.5
    claimed = value if true else rng.choice([v for _, v in pairs if v != value])
    form, index = CHECKED[name].pick(rng, unseen=unseen)
    question = form.format(s=subject, v=claimed)
    return Item(
        category=COMPOSITIONS,
        template=f"check {name} {index}",
        question=question[0].upper() + question[1:],
        answer="yes" if true else "no",
        recall=(BY_NAME[name].state(subject, value),),
        steps=(f"It is {value}" + ("" if true else f", not {claimed}"),),
    )


def generate(rng: Random, *, unseen: bool = False) -> Item:
    """One composition."""
    return rng.choices((hop, comparison, rank, multiple, verification), (10, 7, 3, 3, 3))[0](rng, unseen=unseen)
