"""Short passages with questions whose answer is a stretch of the text, or is not there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from . import wordings
from .arithmetic import NAMES, THINGS
from .items import NOT_STATED, READING, Item, Phrasings

ONSETS: Final = (
    "b",
    "br",
    "c",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
VOWELS: Final = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
CODAS: Final = ("n", "l", "r", "m", "s", "t", "nd", "ck", "x", "")
PLACES: Final = (
    "museum",
    "library",
    "bridge",
    "school",
    "theatre",
    "castle",
    "station",
    "hotel",
    "church",
    "market",
    "tower",
    "hospital",
    "bakery",
    "zoo",
    "park",
    "stadium",
    "factory",
    "harbour",
)
CITIES: Final = (
    "Paris",
    "London",
    "Oslo",
    "Rome",
    "Cairo",
    "Lima",
    "Leeds",
    "York",
    "Boston",
    "Geneva",
    "Munich",
    "Naples",
    "Porto",
    "Lyon",
    "Bergen",
    "Dublin",
    "Vienna",
    "Madrid",
    "Berlin",
    "Kyoto",
)
JOBS: Final = (
    "doctor",
    "teacher",
    "baker",
    "pilot",
    "nurse",
    "farmer",
    "lawyer",
    "painter",
    "cook",
    "driver",
    "singer",
    "writer",
    "dentist",
    "engineer",
    "gardener",
    "judge",
)
COLOURS: Final = ("red", "blue", "green", "yellow", "black", "white", "brown", "grey", "pink", "purple", "orange")
OBJECTS: Final = (
    "key",
    "book",
    "lamp",
    "ball",
    "phone",
    "hat",
    "coat",
    "letter",
    "ring",
    "cup",
    "map",
    "bag",
    "knife",
    "watch",
    "camera",
    "umbrella",
    "bottle",
    "box",
)
SPOTS: Final = (
    "kitchen",
    "garden",
    "cellar",
    "attic",
    "drawer",
    "car",
    "office",
    "hall",
    "bedroom",
    "garage",
    "cupboard",
    "basket",
    "bathroom",
    "shed",
)
FOODS: Final = (
    "pizza",
    "soup",
    "rice",
    "bread",
    "cheese",
    "fish",
    "salad",
    "pasta",
    "cake",
    "apples",
    "soup",
    "honey",
    "eggs",
)
PETS: Final = ("dog", "cat", "rabbit", "parrot", "horse", "goat", "hamster", "snake", "turtle", "goldfish")
SPORTS: Final = (
    "tennis",
    "chess",
    "football",
    "golf",
    "hockey",
    "the piano",
    "the violin",
    "the guitar",
    "the drums",
    "cards",
)
CAUSES: Final = (
    "rain",
    "a strike",
    "a fire",
    "snow",
    "fog",
    "an accident",
    "a power cut",
    "illness",
    "a storm",
    "a holiday",
)
EVENTS: Final = ("match", "concert", "meeting", "flight", "trip", "lesson", "party", "race", "parade", "exam")


def word(rng: Random) -> str:
    """A made-up name, so that copying is learned and not a list."""
    parts = [rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(rng.choice((1, 2, 2)))]
    return "".join(parts).capitalize()


def _person(rng: Random) -> str:
    first = rng.choice(NAMES) if rng.random() < 0.6 else word(rng)
    return f"{first} {word(rng)}" if rng.random() < 0.15 else first


def _city(rng: Random) -> str:
    return rng.choice(CITIES) if rng.random() < 0.5 else word(rng)


def _building(rng: Random) -> str:
    roll = rng.random()
    kind = rng.choice(PLACES)
    return f"the {kind}" if roll < 0.6 else f"the {word(rng)} {kind}" if roll < 0.8 else f"the old {kind}"


def _year(rng: Random) -> str:
    return str(rng.randint(1400, 2025))


def _number(rng: Random) -> str:
    return str(rng.randint(2, rng.choice((12, 99, 999))))


def _clock(rng: Random) -> str:
    return f"{rng.randint(1, 12)}:{rng.choice(('00', '15', '30', '45', '10', '20'))}"


def _from(pool: tuple[str, ...], *, before: str = "") -> "Maker":
    return lambda rng: before + rng.choice(pool)


Maker = Callable[[Random], str]


@dataclass(frozen=True)
class Tie:
    """One relation: how a sentence states it, how its value and its subject are asked for."""

    name: str
    subject: Maker
    value: Maker
    says: Phrasings
    asks: Phrasings
    asks_back: Phrasings | None = None


def _ask(*seen: str, unseen: tuple[str, ...] = ()) -> Phrasings:
    return Phrasings(seen, unseen)


PERSON_TIES: Final = (
    Tie(
        "lives",
        _person,
        _city,
        _ask(
            "{s} lives in {v}.",
            "{s} has a house in {v}.",
            "{s} moved to {v} last year.",
            unseen=("The home of {s} is in {v}.",),
        ),
        _ask(
            "Where does {s} live?",
            "In which city does {s} live?",
            "Which city does {s} live in?",
            unseen=("In what place is the home of {s}?",),
        ),
        _ask("Who lives in {v}?", unseen=("Which person has a home in {v}?",)),
    ),
    Tie(
        "born",
        _person,
        _year,
        _ask("{s} was born in {v}.", "{s} came into the world in {v}.", unseen=("The birth year of {s} is {v}.",)),
        _ask(
            "When was {s} born?",
            "In which year was {s} born?",
            "What year was {s} born?",
            unseen=("What is {s}'s year of birth?",),
        ),
        _ask("Who was born in {v}?", unseen=("Whose birth was in {v}?",)),
    ),
    Tie(
        "job",
        _person,
        _from(JOBS),
        _ask("{s} works as a {v}.", "{s} is a {v}.", "{s} became a {v}.", unseen=("{s} earns money as a {v}.",)),
        _ask(
            "What is {s}'s job?",
            "What does {s} do for a living?",
            "What is the job of {s}?",
            "What does {s} work as?",
            unseen=("Which profession does {s} have?",),
        ),
        _ask("Who is a {v}?", "Who works as a {v}?", unseen=("Which person is the {v}?",)),
    ),
    Tie(
        "age",
        _person,
        lambda rng: str(rng.randint(3, 90)),
        _ask("{s} is {v} years old.", "{s} turned {v} this year.", unseen=("The age of {s} is {v}.",)),
        _ask("How old is {s}?", "What is {s}'s age?", "What age is {s}?", unseen=("How many years old is {s}?",)),
        _ask("Who is {v} years old?", unseen=("Which person is aged {v}?",)),
    ),
    Tie(
        "food",
        _person,
        _from(FOODS),
        _ask("{s} likes to eat {v}.", "{s} loves {v}.", "{s} often eats {v}.", unseen=("{s} is fond of {v}.",)),
        _ask(
            "What does {s} like to eat?",
            "What food does {s} like?",
            "What does {s} eat?",
            unseen=("Which food is {s} keen on?",),
        ),
        _ask("Who likes {v}?", "Who eats {v}?", unseen=("Which person enjoys {v}?",)),
    ),
    Tie(
        "pet",
        _person,
        _from(PETS),
        _ask("{s} has a {v}.", "{s} keeps a {v}.", "{s} owns a {v}.", unseen=("{s} looks after a {v}.",)),
        _ask(
            "What pet does {s} have?",
            "Which animal does {s} have?",
            "What animal does {s} keep?",
            unseen=("What kind of pet belongs to {s}?",),
        ),
        _ask("Who has a {v}?", "Who owns a {v}?", unseen=("To whom does the {v} belong?",)),
    ),
    Tie(
        "plays",
        _person,
        _from(SPORTS),
        _ask(
            "{s} plays {v}.",
            "{s} is learning to play {v}.",
            "Every Sunday {s} plays {v}.",
            unseen=("{s} is good at playing {v}.",),
        ),
        _ask("What does {s} play?", "What is {s} able to play?", unseen=("Which game or instrument does {s} play?",)),
        _ask("Who plays {v}?", unseen=("Which person can play {v}?",)),
    ),
    Tie(
        "car",
        _person,
        _from(COLOURS),
        _ask("{s} drives a {v} car.", "{s}'s car is {v}.", "The car of {s} is {v}.", unseen=("{s} bought a {v} car.",)),
        _ask(
            "What colour is {s}'s car?",
            "What is the colour of {s}'s car?",
            "What color is the car of {s}?",
            unseen=("Which colour does the car of {s} have?",),
        ),
        _ask("Who drives a {v} car?", "Who has a {v} car?", unseen=("Whose car is {v}?",)),
    ),
    Tie(
        "bought",
        _person,
        lambda rng: f"{rng.randint(2, 60)} {rng.choice(THINGS[:-1])}",
        _ask(
            "{s} bought {v}.",
            "{s} sold {v} on Monday.",
            "{s} collected {v}.",
            unseen=("In the shop {s} paid for {v}.",),
        ),
        _ask("What did {s} get or sell?", "Which things and how many of them does the text name for {s}?"),
    ),
    Tie(
        "gave",
        _person,
        lambda rng: f"the {rng.choice(OBJECTS)}",
        _ask(
            "{s} gave {v} to a friend.",
            "{s} lost {v} on the way home.",
            "{s} found {v} in the street.",
            unseen=("{s} picked up {v}.",),
        ),
        _ask("What thing is named with {s}?", "Which object did {s} give, lose or find?"),
    ),
)
PLACE_TIES: Final = (
    Tie(
        "opened",
        _building,
        _year,
        _ask(
            "{s} opened in {v}.",
            "{s} was opened in {v}.",
            "{s} has been open since {v}.",
            unseen=("{s} first opened its doors in {v}.",),
        ),
        _ask(
            "When did {s} open?",
            "In which year did {s} open?",
            "What year did {s} open?",
            "When was {s} opened?",
            unseen=("Since when has {s} been open?",),
        ),
        _ask("What opened in {v}?", unseen=("Which building opened in {v}?",)),
    ),
    Tie(
        "built",
        _building,
        _year,
        _ask("{s} was built in {v}.", "{s} was finished in {v}.", unseen=("{s} was put up in {v}.",)),
        _ask(
            "When was {s} built?", "In which year was {s} built?", unseen=("What is the year in which {s} was built?",)
        ),
        _ask("What was built in {v}?", unseen=("Which building is from {v}?",)),
    ),
    Tie(
        "builder",
        _building,
        _person,
        _ask(
            "{s} was designed by {v}.",
            "{v} designed {s}.",
            "The architect of {s} was {v}.",
            unseen=("{s} is the work of {v}.",),
        ),
        _ask(
            "Who designed {s}?",
            "Who was the architect of {s}?",
            "Who is the architect of {s}?",
            unseen=("Which person drew the plans for {s}?",),
        ),
        _ask("What did {v} design?", unseen=("Which building is by {v}?",)),
    ),
    Tie(
        "height",
        _building,
        lambda rng: f"{rng.randint(5, 300)} metres",
        _ask("{s} is {v} high.", "{s} is {v} tall.", "The height of {s} is {v}.", unseen=("{s} rises to {v}.",)),
        _ask(
            "How high is {s}?", "How tall is {s}?", "What is the height of {s}?", unseen=("What height does {s} have?",)
        ),
    ),
    Tie(
        "where",
        _building,
        _city,
        _ask("{s} is in {v}.", "{s} stands in {v}.", "{s} is located in {v}.", unseen=("You can find {s} in {v}.",)),
        _ask(
            "Where is {s}?",
            "In which city is {s}?",
            "In which town does {s} stand?",
            unseen=("What is the location of {s}?",),
        ),
        _ask("What is in {v}?", unseen=("Which building is in {v}?",)),
    ),
    Tie(
        "rooms",
        _building,
        lambda rng: f"{_number(rng)} rooms",
        _ask("{s} has {v}.", "There are {v} in {s}.", unseen=("{s} offers {v}.",)),
        _ask(
            "How many rooms does {s} have?",
            "How many rooms are in {s}?",
            unseen=("What is the number of rooms of {s}?",),
        ),
    ),
    Tie(
        "visitors",
        _building,
        lambda rng: f"{_number(rng)} people",
        _ask(
            "{v} visit {s} every day.",
            "{s} is visited by {v} a day.",
            "Each day {v} come to {s}.",
            unseen=("{s} welcomes {v} a day.",),
        ),
        _ask(
            "How many people visit {s} every day?",
            "How many people come to {s}?",
            unseen=("How many visitors does {s} have?",),
        ),
    ),
    Tie(
        "ticket",
        _building,
        lambda rng: f"{rng.randint(2, 50)} dollars",
        _ask("A ticket for {s} costs {v}.", "{s} costs {v} to enter.", unseen=("You pay {v} to get into {s}.",)),
        _ask(
            "How much is a ticket for {s}?",
            "What does a ticket for {s} cost?",
            "How much does it cost to enter {s}?",
            unseen=("What is the price of {s}?",),
        ),
    ),
    Tie(
        "closes",
        _building,
        _clock,
        _ask("{s} closes at {v}.", "{s} is open until {v}.", unseen=("The doors of {s} shut at {v}.",)),
        _ask("When does {s} close?", "At what time does {s} close?", unseen=("Until what time is {s} open?",)),
    ),
)
THING_TIES: Final = (
    Tie(
        "spot",
        _from(OBJECTS, before="the "),
        _from(SPOTS, before="the "),
        _ask(
            "{s} is in {v}.", "{s} was left in {v}.", "Somebody put {s} in {v}.", unseen=("{s} can be found in {v}.",)
        ),
        _ask("Where is {s}?", "In which place is {s}?", unseen=("What is the place of {s}?",)),
        _ask("What is in {v}?", unseen=("Which thing is in {v}?",)),
    ),
    Tie(
        "colour",
        _from(OBJECTS, before="the "),
        _from(COLOURS),
        _ask("{s} is {v}.", "{s} is painted {v}.", unseen=("The colour of {s} is {v}.",)),
        _ask(
            "What colour is {s}?",
            "What is the colour of {s}?",
            "What color is {s}?",
            unseen=("Which colour does {s} have?",),
        ),
        _ask("What is {v}?", "Which thing is {v}?"),
    ),
    Tie(
        "price",
        _from(OBJECTS, before="the "),
        lambda rng: f"{rng.randint(2, 200)} dollars",
        _ask(
            "{s} costs {v}.", "The price of {s} is {v}.", "{s} was sold for {v}.", unseen=("You can buy {s} for {v}.",)
        ),
        _ask(
            "How much does {s} cost?",
            "What is the price of {s}?",
            "How much is {s}?",
            unseen=("What do you pay for {s}?",),
        ),
    ),
    Tie(
        "owner",
        _from(OBJECTS, before="the "),
        _person,
        _ask(
            "{s} belongs to {v}.", "{v} owns {s}.", "The owner of {s} is {v}.", unseen=("{s} is the property of {v}.",)
        ),
        _ask("Who owns {s}?", "Who is the owner of {s}?", "To whom does {s} belong?", unseen=("Whose is {s}?",)),
        _ask("What does {v} own?", "What belongs to {v}?"),
    ),
)
EVENT_TIES: Final = (
    Tie(
        "cause",
        _from(EVENTS, before="the "),
        _from(CAUSES),
        _ask(
            "{s} was cancelled because of {v}.",
            "Because of {v}, {s} was cancelled.",
            unseen=("{v} was the reason to cancel {s}.",),
        ),
        _ask(
            "Why was {s} cancelled?",
            "What was the reason for cancelling {s}?",
            unseen=("For what reason did {s} not take place?",),
        ),
        _ask("What was cancelled because of {v}?"),
    ),
    Tie(
        "start",
        _from(EVENTS, before="the "),
        _clock,
        _ask("{s} starts at {v}.", "{s} begins at {v}.", unseen=("The start of {s} is at {v}.",)),
        _ask(
            "When does {s} start?",
            "At what time does {s} begin?",
            "What time does {s} start?",
            unseen=("At which hour does {s} get going?",),
        ),
        _ask("What starts at {v}?"),
    ),
    Tie(
        "day",
        _from(EVENTS, before="the "),
        _from(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")),
        _ask("{s} is on {v}.", "{s} takes place on {v}.", unseen=("{s} was planned for {v}.",)),
        _ask("On which day is {s}?", "What day is {s}?", "When is {s}?", unseen=("Which day was chosen for {s}?",)),
        _ask("What is on {v}?", "What takes place on {v}?"),
    ),
    Tie(
        "held",
        _from(EVENTS, before="the "),
        _city,
        _ask("{s} takes place in {v}.", "{s} was held in {v}.", unseen=("{v} is the place of {s}.",)),
        _ask(
            "Where does {s} take place?",
            "Where is {s} held?",
            "In which city is {s}?",
            unseen=("In what place is {s}?",),
        ),
        _ask("What takes place in {v}?"),
    ),
    Tie(
        "winner",
        _from(EVENTS, before="the "),
        _person,
        _ask("{v} won {s}.", "{s} was won by {v}.", "The winner of {s} was {v}.", unseen=("{v} came first in {s}.",)),
        _ask("Who won {s}?", "Who was the winner of {s}?", unseen=("Which person was the best in {s}?",)),
        _ask("What did {v} win?"),
    ),
)
Domain = tuple[Tie, ...]


def _worded(ties: Domain) -> Domain:
    """The relations with all that can be said and asked of them."""
    rich = []
    for tie in ties:
        says, asks, back = wordings.READING[tie.name]
        asks_back = (tie.asks_back or Phrasings(())).more(*back)
        rich.append(
            replace(tie, says=tie.says.more(*says), asks=tie.asks.more(*asks), asks_back=asks_back if back else None)
        )
    return tuple(rich)


PEOPLE, BUILDINGS, GOODS, HAPPENINGS = (_worded(ties) for ties in (PERSON_TIES, PLACE_TIES, THING_TIES, EVENT_TIES))
DOMAINS: Final = (PEOPLE, PEOPLE, BUILDINGS, BUILDINGS, GOODS, HAPPENINGS)
INVENTED_SHARE: Final = 0.35


def _noun_tie(noun: str, *, subject: Maker, value: Maker) -> Tie:
    """An attribute that no list knows: what it is called stands in the text and in the question alike."""
    return Tie(
        f"noun-{noun}", subject, value,
        _ask("The {k} of {s} is {v}.", "{s}'s {k} is {v}.", "{v} is the {k} of {s}.", "{s} has {v} as {k}.",
             "{s} chose {v} as {k}.", "For {s}, the {k} is {v}.").put(k=noun),
        _ask("What is the {k} of {s}?", "What is {s}'s {k}?", "Which {k} does {s} have?", "Tell me the {k} of {s}.",
             "What {k} has {s}?", "{s} has which {k}?", "Who or what is the {k} of {s}?",
             "the {k} of {s}?").put(k=noun),
        _ask("Whose {k} is {v}?", "Who or what has the {k} {v}?", "Of what is {v} the {k}?").put(k=noun),
    )  # fmt: skip


def _verb_tie(past: str, plain: str, *, subject: Maker, value: Maker) -> Tie:
    return Tie(
        f"verb-{plain}", subject, value,
        _ask("{s} {d} {v}.", "Yesterday {s} {d} {v}.", "In the end {s} {d} {v}.", "It was {v} that {s} {d}.",
             "{s} never {d} {v} again.", "Once {s} {d} {v}.").put(d=past, b=plain),
        _ask("What did {s} {b}?", "Who or what did {s} {b}?", "Which one did {s} {b}?", "{s} {d} what?",
             "Tell me what {s} {d}.").put(d=past, b=plain),
        _ask("Who {d} {v}?", "Who or what {d} {v}?", "Which one {d} {v}?",
             "By whom was {v} seen, who {d} it?").put(d=past),
    )  # fmt: skip


def _place_tie(preposition: str, *, subject: Maker, value: Maker) -> Tie:
    return Tie(
        f"place-{preposition}", subject, value,
        _ask("{s} is {k} {v}.", "{s} stands {k} {v}.", "You see {s} {k} {v}.",
             "{s} was put {k} {v}.").put(k=preposition),
        _ask("What is {s} {k}?", "{k} what is {s}?", "{s} is {k} what?", "Tell me what {s} is {k}.").put(k=preposition),
        _ask("What is {k} {v}?", "Who or what is {k} {v}?", "What stands {k} {v}?").put(k=preposition),
    )  # fmt: skip


def _thing(rng: Random) -> str:
    """Anything that can be spoken of."""
    makers = (_person, _city, _building, _from(OBJECTS, before="the "), _from(PETS, before="the "), word, word)
    return rng.choice(makers)(rng)


def _value(rng: Random) -> str:
    """Anything that can be said of it."""
    plain = (_year, _number, _from(COLOURS), _from(FOODS), _from(JOBS), _from(SPORTS), _clock)
    roll = rng.random()
    if roll < 0.5:
        return _thing(rng)
    return (
        rng.choice(plain)(rng) if roll < 0.8 else f"{word(rng).lower()} {rng.choice((word(rng).lower(), _number(rng)))}"
    )


def invented(rng: Random) -> Domain:
    """Relations made up on the spot, so that reading is learned and not a list of relations."""
    subject = rng.choice((_thing, _person, _building))
    ties = []
    for _ in range(rng.randint(2, 4)):
        roll = rng.random()
        value = rng.choice((_value, _value, _thing, _person, _number))
        if roll < 0.6:
            noun = rng.choice(wordings.ATTRIBUTES) if rng.random() < 0.75 else word(rng).lower()
            ties.append(_noun_tie(noun, subject=subject, value=value))
        elif roll < 0.88:
            ties.append(_verb_tie(*rng.choice(wordings.ACTIONS), subject=subject, value=value))
        else:
            ties.append(_place_tie(rng.choice(wordings.PREPOSITIONS), subject=subject, value=value))
    return tuple({tie.name: tie for tie in ties}.values())


FILLERS: Final = (
    "It was a quiet day.",
    "The weather was fine.",
    "Many people know this.",
    "Nobody was surprised.",
    "This is well known.",
    "The street is long.",
    "Everyone was happy.",
    "It is a nice place.",
    "There was a lot of noise.",
    "The story is old.",
    *wordings.FILLERS,
)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


MISSING_SHARE: Final = 0.28


@dataclass(frozen=True)
class Line:
    """One stated relation of a passage."""

    tie: Tie
    subject: str
    value: str
    sentence: str


def _several(rng: Random, domain: Domain, *, count: int, unseen: bool) -> list[Line]:
    """Several subjects of one domain, no subject or value twice for a relation."""
    ties = rng.sample(domain, min(len(domain), rng.choice((1, 2, 2, 3))))
    lines: list[Line] = []
    subjects = list(dict.fromkeys(ties[0].subject(rng) for _ in range(count)))
    for _ in range(3 * count):
        tie, subject = rng.choice(ties), rng.choice(subjects)
        value = tie.value(rng)
        clash = any(line.value == value or (line.tie.name, line.subject) == (tie.name, subject) for line in lines)
        if not clash and len(lines) < count:
            lines.append(_line(rng, tie, subject=subject, value=value, unseen=unseen))
    return lines


def _profile(rng: Random, domain: Domain, *, count: int, unseen: bool) -> list[Line]:
    """One subject, named once and then by a pronoun, as in a leaflet."""
    pronouns = ("He", "She") if domain is PEOPLE else ("It",)
    ties = list(rng.sample(domain, min(len(domain), count)))
    subject, pronoun = ties[0].subject(rng), rng.choice(pronouns)
    lines = []
    for index, tie in enumerate(ties):
        named = subject if index == 0 or rng.random() < 0.2 else pronoun
        value, form = tie.value(rng), tie.says.pick(rng, unseen=unseen)[0]
        # A pronoun opens its sentence or is none.
        named = named if form.startswith("{s} ") else subject
        lines.append(Line(tie, subject, value, _sentence(form.format(s=named, v=value))))
    return lines


def _line(rng: Random, tie: Tie, *, subject: str, value: str, unseen: bool) -> Line:
    form, _ = tie.says.pick(rng, unseen=unseen)
    return Line(tie, subject, value, _sentence(form.format(s=subject, v=value)))


def _missing(rng: Random, domain: Domain, lines: list[Line]) -> tuple[Tie, str] | None:
    """A question the passage does not answer: a relation of a named subject, or a subject nobody named."""
    told = {(line.tie.name, line.subject) for line in lines}
    near = [(tie, line.subject) for line in lines for tie in domain if (tie.name, line.subject) not in told]
    tie = rng.choice(lines).tie
    far = [(tie, name) for name in (tie.subject(rng) for _ in range(3)) if all(name != line.subject for line in lines)]
    pool = near if near and (rng.random() < 0.5 or not far) else far
    return rng.choice(pool) if pool else None


def _passage(rng: Random, lines: list[Line]) -> str:
    sentences = [line.sentence for line in lines]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        sentences.insert(rng.randint(1, len(sentences)), rng.choice(FILLERS))
    return " ".join(sentences)


def generate(rng: Random, *, unseen: bool = False) -> Item:
    """One passage and one question about it."""
    while True:
        count = rng.choices((1, 2, 3, 4, 5, 6, 8, 10), (2, 8, 12, 10, 6, 4, 1, 2))[0]
        says_unseen = unseen and rng.random() < 0.5
        made_up = not unseen and rng.random() < INVENTED_SHARE
        profile = rng.random() < 0.3
        if profile:
            domain = invented(rng) if made_up else rng.choice((PEOPLE, BUILDINGS, BUILDINGS))
            lines = _profile(rng, domain, count=count, unseen=says_unseen)
        else:
            domain = invented(rng) if made_up else rng.choice(DOMAINS)
            lines = _several(rng, domain, count=count, unseen=says_unseen)
        text = _passage(rng, lines)
        if rng.random() < MISSING_SHARE:
            missing = _missing(rng, domain, lines)
            if missing:
                return _unanswerable(rng, *missing, text=text, unseen=unseen)
            continue
        return _answerable(rng, rng.choice(lines), text=text, back=not profile, unseen=unseen, star=says_unseen)


def questions(rng: Random, domain: Domain) -> tuple[str, list[tuple[str, str, str]]]:
    """One passage and, for each of its sentences, a question with the sentence and the answer."""
    lines = _several(rng, domain, count=rng.randint(3, 8), unseen=False)
    text = _passage(rng, lines)
    items = [_answerable(rng, line, text=text, back=True, unseen=False, star=False) for line in lines]
    rng.shuffle(items)
    return text, [(item.question, item.quote[0], item.answer) for item in items]


def interview(rng: Random) -> list[Item]:
    """Several questions about one passage, some of which it does not answer, in any order."""
    domain = invented(rng) if rng.random() < INVENTED_SHARE else rng.choice(DOMAINS)
    profile = domain is not HAPPENINGS and domain is not GOODS and rng.random() < 0.3
    lines = (_profile if profile else _several)(rng, domain, count=rng.randint(2, 7), unseen=False)
    text = _passage(rng, lines)
    items = [
        _answerable(rng, line, text=text, back=not profile, unseen=False, star=False)
        for line in rng.sample(lines, min(len(lines), 4))
    ]
    missing = [found for _ in range(rng.randint(1, 3)) if (found := _missing(rng, domain, lines))]
    items += [_unanswerable(rng, *found, text=text, unseen=False) for found in dict.fromkeys(missing)]
    rng.shuffle(items)
    return items


def _unanswerable(rng: Random, tie: Tie, subject: str, *, text: str, unseen: bool) -> Item:
    form, name = tie.asks.pick(rng, unseen=unseen)
    return Item(
        category=READING,
        template=f"missing {tie.name} {name}",
        question=_sentence(form.format(s=subject)),
        answer=NOT_STATED,
        text=text,
        key=f"{text} {subject}",
    )


def _answerable(rng: Random, line: Line, *, text: str, back: bool, unseen: bool, star: bool) -> Item:
    backward = back and line.tie.asks_back is not None and rng.random() < 0.25
    phrasings = line.tie.asks_back if backward and line.tie.asks_back else line.tie.asks
    form, name = phrasings.pick(rng, unseen=unseen)
    answer = line.subject if backward else line.value
    position = line.sentence.lower().find(answer.lower())
    return Item(
        category=READING,
        template=f"{line.tie.name} {'back' if backward else ''} {name}{'*' if star else ''}",
        question=_sentence(form.format(s=line.subject, v=line.value)),
        answer=line.sentence[position : position + len(answer)],
        text=text,
        quote=(line.sentence,),
        key=text,
    )
