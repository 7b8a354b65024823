"""Sums and word problems, with the column work that leads to their results."""

from random import Random
from typing import Final

from . import wordings
from .items import ARITHMETIC, Item, Phrasings

SIGNS: Final = {"+": ("+",), "-": ("-", "-", "−"), "*": ("*", "x", "×", "x"), "/": ("/", "/", "÷", ":")}  # noqa: RUF001
SPOKEN = {
    "+": Phrasings(
        ("{a} plus {b}", "the sum of {a} and {b}", "{a} and {b} together", "{b} added to {a}"),
        ("the total of {a} and {b}",),
    ),
    "-": Phrasings(("{a} minus {b}", "{a} take away {b}", "the difference between {a} and {b}"), ("{a} less {b}",)),
    "*": Phrasings(("{a} times {b}", "{a} multiplied by {b}", "the product of {a} and {b}"), ("{a} groups of {b}",)),
    "/": Phrasings(("{a} divided by {b}", "{a} split by {b}"), ("{a} over {b}",)),
}
SPOKEN = {sign: phrasings.more(*wordings.SPOKEN[sign]) for sign, phrasings in SPOKEN.items()}
ASKED: Final = Phrasings(
    ("What is {e}?", "{e}", "{e}=", "{e} = ?", "{e}?", "Calculate {e}.", "How much is {e}?", "what's {e}?", "whats {e}",
     "Compute {e}.", "Work out {e}.", "What does {e} equal?", "solve {e}", "{e} is what?", "Tell me {e}."),
    ("Can you add this up: {e}", "Find {e}.", "Please evaluate {e}", "I need to know {e}."),
).more(*wordings.SUMS)  # fmt: skip
COMMANDS = {
    "+": ("Add {a} and {b}.", "Add {b} to {a}."),
    "-": ("Subtract {b} from {a}.", "Take {b} away from {a}."),
    "*": ("Multiply {a} by {b}.",),
    "/": ("Divide {a} by {b}.",),
}
COMMANDS = {sign: commands + wordings.COMMANDS[sign] for sign, commands in COMMANDS.items()}
NAMES: Final = (
    "Tom", "Anna", "Ben", "Mary", "Sam", "Lucy", "Peter", "Emma", "Jack", "Sara", "Leo", "Nina", "Paul", "Kate", "Max",
    "Lily", "John", "Rosa", "Omar", "Mia",
)  # fmt: skip
THINGS: Final = (
    "apples", "books", "pens", "coins", "stamps", "marbles", "cards", "eggs", "cookies", "balls", "flowers", "pencils",
    "oranges", "stickers", "shells", "toys", "sweets", "cups", "keys", "dollars",
)  # fmt: skip


def _columns(a: int, b: int) -> list[tuple[int, int]]:
    """Digit pairs from the ones upwards."""
    width = max(len(str(a)), len(str(b)))
    return [(a // 10**i % 10, b // 10**i % 10) for i in range(width)]


def _add(a: int, b: int) -> str:
    carry, lines = 0, list[str]()
    for x, y in _columns(a, b):
        total = x + y + carry
        lines.append(f"{x}+{y}{'+1' if carry else ''}={total}")
        carry = total // 10
    return ", ".join(lines)


def _subtract(a: int, b: int) -> str:
    borrow, lines = 0, list[str]()
    for x, y in _columns(a, b):
        short = x - y - borrow < 0
        top = x + 10 * short
        lines.append(f"{top}-{y}{'-1' if borrow else ''}={top - y - borrow}")
        borrow = int(short)
    return ", ".join(lines)


def _multiply(a: int, b: int) -> str:
    carry, lines = 0, list[str]()
    for x in map(int, reversed(str(a))):
        product = x * b + carry
        lines.append(f"{x}*{b}" + (f"+{carry}={x * b}+{carry}" if carry else "") + f"={product}")
        carry = product // 10
    return ", ".join(lines)


def _divide(a: int, b: int) -> str:
    rest, lines = 0, list[str]()
    for digit in map(int, str(a)):
        part = rest * 10 + digit
        rest = part % b
        if part >= b or lines:
            lines.append(f"{part}/{b}={part // b}" + (f" rest {rest}" if rest else ""))
    return ", ".join(lines)


def _easy(a: int, b: int, *, sign: str) -> bool:
    """Whether the result is a table fact that needs no columns."""
    if sign == "/":
        return b <= 12 and a // b <= 12
    return max(a, b) <= 12 if sign == "*" else max(a, b) < 10 if sign == "+" else a < 20 and b < 10


def result(a: int, b: int, *, sign: str) -> int:
    """The exact result."""
    return {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]


def work(a: int, b: int, *, sign: str) -> str:
    """The written work of one operation, without a full stop."""
    value = result(a, b, sign=sign)
    plain = f"{a}{sign}{b}={value}"
    if _easy(a, b, sign=sign) and value >= 0:
        return plain
    if value < 0:
        return f"{b} is more than {a}, {work(b, a, sign='-')}, so {value}"
    if sign == "*" and min(a, b) > 9:
        tens, ones = b // 10 * 10, b % 10
        parts = [f"{a}*{tens}: {_multiply(a, b // 10)}, so {a * tens}"]
        if ones:
            parts += [f"{a}*{ones}: {_multiply(a, ones)}, so {a * ones}", work(a * tens, a * ones, sign="+")]
        return "; ".join(parts) + (f", so {value}" if not ones else "")
    a, b = (b, a) if sign == "*" and b > a else (a, b)
    column = {"+": _add, "-": _subtract, "*": _multiply, "/": _divide}[sign]
    return f"{a}{sign}{b}: {column(a, b)}, so {value}"


def operands(rng: Random, *, sign: str) -> tuple[int, int]:
    """Numbers of the sizes people try first."""
    size = rng.choice((9, 20, 99, 99, 999))
    if sign in "+-":
        a, b = rng.randint(0, size), rng.randint(0, rng.choice((9, size, size)))
        return (a, b) if sign == "+" or a >= b or rng.random() < 0.05 else (b, a)
    if sign == "*":
        pair = rng.choice(((12, 12), (12, 12), (99, 9), (99, 9), (999, 9), (99, 99)))
        a, b = rng.randint(0, pair[0]), rng.randint(0, pair[1])
        return (a, b) if rng.random() < 0.7 else (b, a)
    b = rng.randint(2, rng.choice((9, 12)))
    return b * rng.randint(1, rng.choice((12, 12, 99 if b < 10 else 12))), b


NUMBER_WORDS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip


def _spelled(rng: Random, *numbers: int) -> list[str]:
    """Small numbers are now and then written as words."""
    if max(numbers) < len(NUMBER_WORDS) and min(numbers) >= 0 and rng.random() < 0.3:
        return [NUMBER_WORDS[number] for number in numbers]
    return [str(number) for number in numbers]


def key_of(a: int, b: int, *, sign: str) -> str:
    """What the split of a calculation hangs on: the same for a+b and b+a; easy ones are always trained."""
    low, high = sorted((a, b)) if sign in "+*" else (a, b)
    return f"{'always ' if max(a, b) <= 12 or (sign == '/' and _easy(a, b, sign=sign)) else ''}{low}{sign}{high}"


def expression(rng: Random, *, unseen: bool) -> Item:
    """One operation, written with a sign or in words."""
    sign = rng.choice("++-**/")
    a, b = operands(rng, sign=sign)
    asked, name = ASKED.pick(rng, unseen=unseen)
    gap = rng.choice(("", " ", " "))
    symbol = rng.choice(SIGNS[sign])
    written = f"{a}{gap}{symbol}{gap}{b}"
    roll = rng.random()
    if unseen and roll < 0.4:
        form, name = SPOKEN[sign].pick(rng, unseen=True)
        asked, written = ASKED.pick(rng, unseen=False)[0], form.format(a=a, b=b)
    elif roll < 0.35:
        first, second = _spelled(rng, a, b)
        written = SPOKEN[sign].pick(rng, unseen=False)[0].format(a=first, b=second)
    elif roll < 0.45 and not unseen:
        asked = rng.choice(COMMANDS[sign]).format(a=a, b=b)
    return Item(
        category=ARITHMETIC, template=f"sum {name}", question=asked.format(e=written), key=key_of(a, b, sign=sign),
        answer=str(result(a, b, sign=sign)), steps=(work(a, b, sign=sign),),
    )  # fmt: skip


def chain(rng: Random, *, unseen: bool) -> Item:
    """Two operations, with or without brackets."""
    a, b, c = (rng.randint(1, 12) for _ in range(3))
    big = [rng.randint(1, 99) for _ in range(3)]
    forms: tuple[tuple[str, tuple[tuple[int, int, str], ...]], ...] = (
        (f"({a} + {b}) * {c}", ((a, b, "+"), (a + b, c, "*"))),
        (f"{a} + {b} * {c}", ((b, c, "*"), (a, b * c, "+"))),
        (f"{a} * {b} + {c}", ((a, b, "*"), (a * b, c, "+"))),
        (f"{c} * ({a} + {b})", ((a, b, "+"), (c, a + b, "*"))),
        (f"{big[0]} + {big[1]} + {big[2]}", ((big[0], big[1], "+"), (big[0] + big[1], big[2], "+"))),
        (f"{a + b + c} - {a} - {b}", ((a + b + c, a, "-"), (b + c, b, "-"))),
        (f"{big[0] + big[1]} - {big[1]} + {c}", ((big[0] + big[1], big[1], "-"), (big[0], c, "+"))),
    )
    written, moves = rng.choice(forms)
    if rng.random() < 0.4:
        written = written.replace(" ", "")
    asked, name = ASKED.pick(rng, unseen=unseen)
    return _worked(asked.format(e=written), template=f"chain {name}", moves=moves, key=written)


def _worked(question: str, *, template: str, moves: tuple[tuple[int, int, str], ...], key: str = "") -> Item:
    steps = tuple(work(a, b, sign=sign) for a, b, sign in moves)
    a, b, sign = moves[-1]
    return Item(
        category=ARITHMETIC, template=template, question=question, key=key, steps=steps,
        answer=str(result(a, b, sign=sign)),
    )  # fmt: skip


# A story is a start, one or two events and a question; each event says how the count changes.
STARTS: Final = Phrasings(
    ("{n} has {a} {t}.", "{n} had {a} {t}.", "There are {a} {t} in a box.", "{n} owns {a} {t}.", "A shop has {a} {t}."),
    ("{n} starts the day with {a} {t}.", "In a basket there are {a} {t}."),
).more(*wordings.STARTS)
GAINS: Final = Phrasings(
    ("{p} buys {b} more.", "{p} finds {b} more.", "{m} gives {o} {b} more.", "{p} gets {b} {t} from {m}.",
     "Then {b} more are added."),
    ("{p} picks up another {b}.",),
).more(*wordings.GAINS)  # fmt: skip
LOSSES: Final = Phrasings(
    ("{p} gives {b} to {m}.", "{p} loses {b}.", "{p} sells {b} of them.", "{p} gives away {b} {t}.",
     "Then {b} are taken away.", "{p} uses {b} of them."),
    ("{p} hands {b} over to {m}.",),
).more(*wordings.LOSSES)  # fmt: skip
ENDS: Final = Phrasings(
    ("How many {t} does {q} have now?", "How many {t} are left?", "How many {t} are there now?",
     "How many {t} does {q} have?",
     "How many does {q} have?"),
    ("What is the number of {t} in the end?",),
).more(*wordings.ENDS)  # fmt: skip
JOINED: Final = (
    "{n} has {a} {t} and buys {b} more. How many {t} does {n} have?",
    "{n} has {a} {t}. {m} has {b} {t}. How many {t} do they have together?",
    "If {n} has {a} {t} and gets {b} more, how many {t} does {n} have?",
    "{n} has {a} {t} and {m} gives {n} {b} more. How many {t} does {n} have now?",
    "There are {a} red {t} and {b} blue {t}. How many {t} are there in total?",
)
PARTED: Final = (
    "{n} has {a} {t} and gives {b} to {m}. How many {t} does {n} have left?",
    "{n} had {a} {t} and lost {b}. How many are left?",
    "If you have {a} {t} and eat {b}, how many are left?",
    "{n} has {a} {t}. {m} has {b} {t}. How many more {t} does {n} have than {m}?",
)
TIMES: Final = Phrasings(
    ("{n} has {a} boxes with {b} {t} in each. How many {t} does {n} have?",
     "There are {a} bags. Each bag holds {b} {t}. How many {t} are there?",
     "One of the {t} costs {b} dollars. How much do {a} {t} cost?",
     "{n} reads {b} pages a day. How many pages does {n} read in {a} days?",
     "A car has {b} seats. How many seats do {a} cars have?"),
    ("{n} fills {a} jars and puts {b} {t} into every jar. How many {t} is that?",),
).more(*wordings.TIMES)  # fmt: skip
SHARES: Final = Phrasings(
    ("{n} shares {a} {t} among {b} friends. How many {t} does each friend get?",
     "{a} {t} are put into {b} equal boxes. How many {t} are in each box?",
     "{n} splits {a} {t} equally between {b} children. How many does each child get?"),
    ("{b} people divide {a} {t} fairly. How many {t} does one person receive?",),
).more(*wordings.SHARES)  # fmt: skip


def _small(rng: Random) -> tuple[int, int]:
    top = rng.choice((9, 20, 60, 99))
    return tuple(sorted((rng.randint(1, top), rng.randint(1, top)), reverse=True))  # type: ignore[return-value]


def story(rng: Random, *, unseen: bool) -> Item:
    """A word problem of one to three steps."""
    n, m = rng.sample(NAMES, 2)
    fields: dict[str, str | int] = {"n": n, "m": m, "t": rng.choice(THINGS), **_named(rng, n)}
    kind = rng.randrange(6)
    if kind == 0 and not unseen:
        return _joined(rng, fields=fields)
    if kind in (1, 2):
        return _grouped(rng, fields=fields, unseen=unseen, share=kind == 2)
    return _eventful(rng, fields=fields, unseen=unseen)


PRONOUNS: Final = {"She": ("she", "her"), "He": ("he", "him")}
WOMEN: Final = frozenset({"Anna", "Mary", "Lucy", "Emma", "Sara", "Nina", "Kate", "Lily", "Rosa", "Mia"})


def _named(rng: Random, name: str) -> dict[str, str]:
    """How later sentences speak of the one the story is about: by name, or as people do."""
    if rng.random() < 0.5:
        return {"p": name, "q": name, "o": name}
    pronoun = "She" if name in WOMEN else "He"
    subject, thing = PRONOUNS[pronoun]
    return {"p": pronoun, "q": rng.choice((subject, name)), "o": thing}


def _joined(rng: Random, *, fields: dict[str, str | int]) -> Item:
    sign, pool = rng.choice((("+", JOINED + wordings.JOINED), ("-", PARTED + wordings.PARTED)))
    a, b = _small(rng)
    if sign == "+" and rng.random() < 0.5:
        a, b = b, a
    index = rng.randrange(len(pool))
    question = pool[index].format(a=a, b=b, **fields)
    return _worked(question, template=f"joined {sign}{index}", moves=((a, b, sign),))


def _grouped(rng: Random, *, fields: dict[str, str | int], unseen: bool, share: bool) -> Item:
    a, b = operands(rng, sign="/") if share else (rng.randint(2, 12), rng.randint(2, 12))
    form, name = (SHARES if share else TIMES).pick(rng, unseen=unseen)
    sign = "/" if share else "*"
    return _worked(form.format(a=a, b=b, **fields), template=f"groups {sign}{name}", moves=((a, b, sign),))


def _eventful(rng: Random, *, fields: dict[str, str | int], unseen: bool) -> Item:
    count = rng.choice((9, 20, 60, 99))
    count = rng.randint(1, count)
    form, name = STARTS.pick(rng, unseen=unseen)
    if "{n}" not in form:
        fields |= dict.fromkeys("pqo", fields["n"])
    lines, moves = [form.format(a=count, **fields)], []
    for _ in range(rng.choice((1, 1, 2, 2, 3))):
        sign = "-" if count > 1 and rng.random() < 0.5 else "+"
        b = rng.randint(1, count if sign == "-" else rng.choice((9, 50)))
        event, _name = (LOSSES if sign == "-" else GAINS).pick(rng, unseen=unseen and rng.random() < 0.5)
        lines.append(event.format(b=b, **fields))
        moves.append((count, b, sign))
        count = result(count, b, sign=sign)
    end, _name = ENDS.pick(rng, unseen=unseen)
    return _worked(" ".join([*lines, end.format(**fields)]), template=f"story {name}", moves=tuple(moves))


ORDER: Final = Phrasings(
    ("Which is {w}, {a} or {b}?", "Which number is {w}: {a} or {b}?", "What is {w}, {a} or {b}?", "Is {a} or {b} {w}?"),
    ("Of {a} and {b}, which one is {w}?",),
).more(*wordings.ORDER)


def order(rng: Random, *, unseen: bool) -> Item:
    """The larger or smaller of two numbers."""
    a, b = rng.sample(range(rng.choice((20, 100, 100, 1000))), 2)
    more = rng.random() < 0.5
    form, name = ORDER.pick(rng, unseen=unseen)
    word = rng.choice(("bigger", "larger", "greater", "more") if more else ("smaller", "less"))
    high, low = max(a, b), min(a, b)
    return Item(
        category=ARITHMETIC, template=f"order {name}", question=form.format(a=a, b=b, w=word),
        answer=str(high if more else low), steps=(f"{high} is more than {low}",),
    )  # fmt: skip


def generate(rng: Random, *, unseen: bool = False) -> Item:
    """One item of arithmetic."""
    maker = rng.choices((expression, chain, story, order), (10, 3, 7, 1))[0]
    return maker(rng, unseen=unseen)
