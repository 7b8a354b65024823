"""Recognises in what form a model wrote an answer, where the model chose the form inside its weights.

A multinomial naive Bayes classifier over surface features (how lines begin, labels, digits, lengths), fitted on texts
that the *same* model wrote under explicit strategies. It says what the text looks like. It is never a reason: why the
model chose a form stays inside the model.

Texts are split by digest: half of them train the classifier, a fifth choose its temperature and the floor below which
it abstains, and the rest, never used for either, fill the confusion matrix that is stored with it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from orca_guard.errors import BadInput

UNKNOWN = "unknown"
FEWEST_QUESTIONS = 20
"""Different questions that are worth asking every strategy: with fewer, one part of the split is likely too small."""
_FORMAT = 1
_SMOOTHING = 0.5
_PRECISION = 0.95
"""Share of right answers that the floor must reach among the texts it was chosen on."""
_TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0)
_LEAST = 5
"""Fewest training texts a form; with fewer the counts say nothing."""


class Recognised(NamedTuple):
    """What a text looks like.

    Attributes:
        form: name of the strategy whose texts it resembles; None when unknown.
        probability: of the likeliest form, whether or not it was high enough; 0 where nothing was computed.
        reason: why the form is unknown; empty when it is not.
    """

    form: str | None
    probability: float
    reason: str = ""


UNRECOGNISED = Recognised(None, 0.0, "no recogniser is fitted on this model")
"""Where there is nothing to recognise a form with."""


class Forms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fitted recogniser.

    Attributes:
        format: version of this file's layout.
        model: the parts of the model's identity that it holds for; each must be equal in the model that is asked
            about. Parts that are left out, such as library versions, may differ.
        seed: of the split.
        counts: form → feature → how often the training texts have it.
        temperature: divides log-likelihoods, because features of one text are not independent.
        floor: least probability of a recognised form.
        likeness: least log-likelihood a feature, in nats: the first percentile of the texts it was fitted on.
        texts: how many texts trained, tuned and tested it.
        confusion: true form → recognised form or `unknown` → held-out texts.
    """

    format: int = _FORMAT
    model: dict[str, str]
    seed: int
    counts: dict[str, dict[str, int]]
    temperature: float
    floor: float
    likeness: float
    texts: tuple[int, int, int]
    confusion: dict[str, dict[str, int]]

    def __post_init__(self) -> None:
        """Refuse what could not have been fitted, so that a damaged file is found when it is loaded."""
        numbers = (self.temperature, self.floor, self.likeness)
        counts = [count for features in self.counts.values() for count in features.values()]
        if self.format != _FORMAT:
            raise ValueError(f"format {self.format}, where {_FORMAT} is understood")
        if len(self.counts) < 2 or not all(self.counts.values()) or min(counts) < 1:  # noqa: PLR2004  # two forms differ
            raise ValueError("at least two forms with counts are needed")
        if not all(map(math.isfinite, numbers)) or self.temperature <= 0 or not self.model:
            raise ValueError("temperature, floor, likeness or the model's identity is unusable")

    @classmethod
    def load(cls, path: Path) -> Forms:
        """Read a recogniser that `dump` wrote.

        Raises:
            BadInput: the file cannot be read, or is no recogniser.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise BadInput(f"{path} is no form recogniser: {error}") from error

    def dump(self, path: Path) -> None:
        """Write it as JSON, the same bytes for the same recogniser."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n")

    def recognise(self, text: str, *, model: Mapping[str, str]) -> Recognised:
        """What form a text of this model has.

        A recogniser fitted on another model is not used: the form is unknown, and the reason names what differs.
        """
        other = sorted(key for key, value in self.model.items() if model.get(key) != value)
        if other:
            return Recognised(None, 0.0, f"the recogniser was fitted on another model: {', '.join(other)} differs")
        features = _features(text)
        if not features:
            return Recognised(None, 0.0, "there is no text")
        form, probability, likeness = _weigh(features, self.counts, self.temperature)
        if likeness < self.likeness:
            return Recognised(None, probability, "it is unlike every text the recogniser was fitted on")
        if probability < self.floor:
            return Recognised(None, probability, f"the likeliest form, {form}, is below the floor of {self.floor:.2f}")
        return Recognised(form, probability)

    def describe(self, text: str, *, model: Mapping[str, str]) -> str:
        """The line for a trace; where the recogniser belongs to another model the line says so."""
        found = self.recognise(text, model=model)
        foreign = found.form is None and found.reason.startswith("the recogniser")
        return f"{describe(found)} ({found.reason})" if foreign else describe(found)


def describe(recognised: Recognised) -> str:
    """`chosen inside the model; recognised form step-by-step (0.97)`, or `chosen inside the model; form unknown`."""
    if recognised.form is None:
        return "chosen inside the model; form unknown"
    shown = min(recognised.probability, 0.99)  # "1.00" would claim what no classifier knows
    return f"chosen inside the model; recognised form {recognised.form} ({shown:.2f})"


def fit(texts: Mapping[str, Sequence[str]], *, model: Mapping[str, str], seed: int = 0) -> Forms:
    """A recogniser for one model's texts.

    Args:
        texts: strategy → texts that the model wrote under it.
        model: what of the model's identity the recogniser shall hold for, such as the digest of its weights.
        seed: of the split.

    Raises:
        BadInput: fewer than two forms, too few texts of one, or no identity.
    """
    if len(texts) < 2 or not model:  # noqa: PLR2004  # one form cannot be told from another
        raise BadInput("a form recogniser needs texts of two forms at least, and the identity of the model")
    parts = _split(texts, seed)
    for form in texts:
        if any(len(part[form]) < least for part, least in zip(parts, (_LEAST, 1, 1), strict=True)):
            raise BadInput(f"{len(texts[form])} texts of {form!r} are too few to fit and to test a form recogniser")
    train, tune, held_out = parts
    counts = {form: dict(Counter(f for text in part for f in _features(text))) for form, part in train.items()}
    temperature = min(_TEMPERATURES, key=lambda t: _loss(tune, counts, t))
    fitted = [text for part in (train, tune) for group in part.values() for text in group]
    forms = Forms(
        model=dict(model),
        seed=seed,
        counts=counts,
        temperature=temperature,
        floor=_floor(tune, counts, temperature),
        likeness=_percentile([_weigh(_features(text), counts, temperature).likeness for text in fitted], 0.01),
        texts=(_size(train), _size(tune), _size(held_out)),
        confusion={},
    )
    return msgspec.structs.replace(forms, confusion=_confusion(forms, held_out))


# --- features ------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LABEL = re.compile(r"[*_#> ]{0,6}([^\W\d_][\w ]{0,23}?)[*_]{0,2}:")
_MARKS = {
    "equation": re.compile(r"\d[ ]?[-+*/\xd7\xf7][ ]?\d|="),
    "numbered": re.compile(r"(?m)^[ \t]{0,8}(?:\d{1,2}[.)]|step \d)", re.IGNORECASE),
    "bulleted": re.compile(r"(?m)^[ \t]{0,8}[-*•] "),
    "quoted": re.compile(r"[\"“][^\"”]{10}"),
    "digits": re.compile(r"\d"),
    "connected": re.compile(r"\b(?:so|therefore|because|thus|since|hence)\b", re.IGNORECASE),
}
_LINES = 60


def _features(text: str) -> list[str]:
    """Surface features, a repeated one repeated; nothing of what the text is about."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    return [
        f"lines:{min(len(lines), 3) if len(lines) < 4 else 2 ** len(lines).bit_length()}",  # noqa: PLR2004  # exact while few
        f"words:{len(text.split()).bit_length()}",
        f"ends:{_kind(lines[-1][-1])}",
        *(f"{'has' if mark.search(text) else 'no'}:{name}" for name, mark in _MARKS.items()),
        *(feature for line in lines[:_LINES] for feature in _of_line(line)),
    ]


def _of_line(line: str) -> Iterator[str]:
    label, word = _LABEL.match(line), _WORD.match(line)
    if label:
        yield f"label:{label[1].strip().casefold()}"
    yield f"starts:{word[0].casefold()[:16]}" if word else f"starts:{_kind(line[0])}"


def _kind(character: str) -> str:
    return "digit" if character.isdigit() else "word" if character.isalpha() else character


# --- weighing ------------------------------------------------------------------------------------


class _Weighed(NamedTuple):
    form: str
    probability: float
    likeness: float


def _weigh(features: Sequence[str], counts: Mapping[str, Mapping[str, int]], temperature: float) -> _Weighed:
    """The likeliest form, every form being as likely beforehand; and how likely its features are, in nats each."""
    vocabulary = len({feature for known in counts.values() for feature in known}) + 1
    logs = {form: _log_likelihood(features, known, vocabulary) for form, known in counts.items()}
    best = max(logs, key=logs.__getitem__)
    total = sum(math.exp((value - logs[best]) / temperature) for value in logs.values())
    return _Weighed(best, 1 / total, logs[best] / len(features) if features else -math.inf)


def _log_likelihood(features: Sequence[str], known: Mapping[str, int], vocabulary: int) -> float:
    total = math.log(sum(known.values()) + _SMOOTHING * vocabulary)
    return sum(math.log(known.get(feature, 0) + _SMOOTHING) - total for feature in features)


# --- fitting -------------------------------------------------------------------------------------

_Part = dict[str, list[str]]


def _split(texts: Mapping[str, Sequence[str]], seed: int) -> tuple[_Part, _Part, _Part]:
    """Train, tune and held-out, by digest: a text that occurs twice, in whatever form, is on one side only."""
    parts: tuple[_Part, _Part, _Part] = tuple({form: [] for form in texts} for _ in range(3))  # type: ignore[assignment]  # three
    for form, group in texts.items():
        for text in (t for t in group if t.strip()):
            tenth = int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode("utf-8", "surrogatepass")).digest()[:8]) % 10
            parts[(0, 0, 0, 0, 0, 1, 1, 2, 2, 2)[tenth]][form].append(text)
    return parts


def _size(part: _Part) -> int:
    return sum(map(len, part.values()))


def _weighed(part: _Part, counts: Mapping[str, Mapping[str, int]], temperature: float) -> list[tuple[float, bool]]:
    """Probability of the likeliest form, and whether it is the right one."""
    found = [(form, _weigh(_features(text), counts, temperature)) for form, group in part.items() for text in group]
    return [(weighed.probability, weighed.form == form) for form, weighed in found]


def _loss(part: _Part, counts: Mapping[str, Mapping[str, int]], temperature: float) -> float:
    """Log-loss of right against wrong."""
    return sum(-math.log(max(p if right else 1 - p, 1e-9)) for p, right in _weighed(part, counts, temperature))


def _floor(part: _Part, counts: Mapping[str, Mapping[str, int]], temperature: float) -> float:
    """The lowest probability from which on enough are right; one that nothing reaches where there is none."""
    weighed = sorted(_weighed(part, counts, temperature), reverse=True)
    floor, right = 1.01, 0
    for number, ((probability, correct), (following, _)) in enumerate(pairwise([*weighed, (0.0, False)]), 1):
        right += correct
        if probability > following and number >= _LEAST and right / number >= _PRECISION:
            floor = probability
    return max(floor, 0.5)


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))]


def _confusion(forms: Forms, held_out: _Part) -> dict[str, dict[str, int]]:
    return {
        form: dict(Counter(forms.recognise(text, model=forms.model).form or UNKNOWN for text in group))
        for form, group in held_out.items()
    }
