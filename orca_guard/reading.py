"""A segment and an answer form become a value and an outcome: the one reader for every strategy and benchmark.

What holds for every form:

- Nothing written is `empty`. A text cut by length or deadline without an answer in it is `truncated`, also when it is
  empty: being cut is no fault of the model. A cut text whose value may have been going on (a number or a span that
  touches the end, free text) is `truncated` too.
- A strategy that looked for an answer and found none (`Segment.answer is None`) yields `absent`, except in `free` form.
- A refusal counts only at the start, and for a letter or number only where no value is found. "I do not know" is an
  answer.
- Only an `extracted` reading has a value. Blanks and a full stop at the end change no outcome of a finished text.

Time is linear in the text's length, whatever the text: no pattern has nested or adjoining unbounded repeats.
`orca_guard/testing/reading_vectors.toml` holds the conformance vectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from string import ascii_uppercase
from typing import NamedTuple

from orca_guard.types import AnswerForm, Outcome, Reading, Segment

NOT_STATED = "not stated"
"""The value of a span that says the text does not hold the answer, however it was worded."""


def final_answer(text: str, *, marker: str = "Answer:", phrases: bool = True) -> str | None:
    """What stands after the last marker, up to the end of the text; None where there is no marker.

    A marker stands at a line's start, in any case, bold or not, perhaps as `Final answer:`. Where there is none,
    the last "the answer is" in a sentence counts. A marker with nothing after it gives way to an earlier one.

    Args:
        text: what a model wrote.
        marker: the word that was asked for, with its colon.
        phrases: whether "the answer is" may stand in for it. In free prose it may be part of the answer.
    """
    marked = _tail(text, _marker(marker))
    return _tail(text, _PHRASE) if marked is None and phrases else marked


def read(segment: Segment, form: AnswerForm, *, choices: Sequence[str] = ()) -> Reading:
    """The value of a segment's answer, and what became of it.

    Args:
        segment: where the answer stands, and how the text ended.
        form: `letter` gives an upper-case letter among those of `choices`; `number` a canonical decimal or a reduced
            fraction ("18", "-0.5", "3/4"); `span` one line without quotes or final full stop; `free` the whole answer.
        choices: the options, without their letters. Without any, every letter is accepted.
    """
    cut = segment.finish != "stop"
    if not segment.text.strip():
        return Reading(outcome=Outcome.TRUNCATED if cut else Outcome.EMPTY)
    answer = segment.text if segment.answer is None and form == "free" else segment.answer
    answer = (answer or "").strip()
    found = _FORMS[form](answer, segment, choices) if answer else _ABSENT
    if found.outcome is Outcome.EXTRACTED:
        return found
    if found.outcome is Outcome.ABSENT and (_refuses(answer) or _refuses(segment.text)):
        return _REFUSED
    return Reading(outcome=Outcome.TRUNCATED) if cut else found


class _Mention(NamedTuple):
    """A value as it stands in a text, at characters `[start, end)`."""

    start: int
    end: int
    value: str


_ABSENT = Reading(outcome=Outcome.ABSENT)
_REFUSED = Reading(outcome=Outcome.REFUSED)
_AMBIGUOUS = Reading(outcome=Outcome.AMBIGUOUS)


def _extracted(value: str) -> Reading:
    return Reading(outcome=Outcome.EXTRACTED, value=value)


# --- characters ----------------------------------------------------------------------------------

# One character for one character, so that positions stay. Unicode normalisation proper is not linear on hostile text.
_SAME_LENGTH: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},  # full-width ASCII
    **dict.fromkeys(map(ord, "\u2212\u2010\u2011\u2012\ufe63"), "-"),
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d"), '"'),
    0x3000: " ",
}


def _ascii(text: str) -> str:
    """For matching only: full-width characters, minus signs and curly quotes in their ASCII form, in place."""
    return text.translate(_SAME_LENGTH)


# --- markers -------------------------------------------------------------------------------------

_PHRASE = re.compile(
    r"\b(?:the|my)[ \t]{1,4}(?:(?:final|correct|right|best)[ \t]{1,4})?answer"
    r"(?:[ \t]{1,4}(?:to|for)[ \t]{1,4}[^.:?!\n]{1,80}?)?"
    r"[ \t]{1,4}(?:is|was|(?:would|should|must|will)[ \t]{1,4}be)\b(?![ \t]{1,4}not\b)[ \t]{0,4}:?",
    re.IGNORECASE,
)


@lru_cache(maxsize=16)
def _marker(marker: str) -> re.Pattern[str]:
    word = re.escape(marker.strip().removesuffix(":"))
    colon = r"[*_]{0,3}[ \t]{0,4}:" if marker.strip().endswith(":") else ""
    return re.compile(
        rf"^[ \t>*_#-]{{0,12}}(?:(?:the|my)[ \t]{{1,4}})?(?:(?:final|correct)[ \t]{{1,4}})?{word}{colon}[*_]{{0,3}}",
        re.IGNORECASE | re.MULTILINE,
    )


def _tail(text: str, pattern: re.Pattern[str]) -> str | None:
    """What follows the last match that anything follows; the matches in between are not part of it."""
    tail, end = None, len(text)
    for match in reversed(list(pattern.finditer(_ascii(text)))):
        tail = _unbolded(text[match.end() : end].strip())
        if tail.strip("*_ ."):
            return tail
        end = match.start()
    return tail


def _unbolded(tail: str) -> str:
    """Without the bold mark whose opening half stood before the marker."""
    return tail.replace("**", "", 1).strip() if tail.count("**") % 2 else tail


# --- refusals ------------------------------------------------------------------------------------

# Three shapes, at the start only: a plain refusal of help; an apology, or "as an AI", and then "I cannot".
# Not knowing is no refusal, so the verbs of knowing are left out after "I cannot".
_CANNOT = (
    r"(?:i|we)(?:'m|[ ]am|[ ]are|'re)?[ ]{1,4}(?:(?:really|simply|just)[ ]{1,4})?"
    r"(?:can(?:no|'|[ ]no)t|could[ ]not|won't|will[ ]not|unable[ ]to|not[ ]able[ ]to|not[ ]comfortable"
    r"|(?:must[ ])?(?:decline|refuse)(?:[ ]to)?)"
)
_KNOWING = r"(?:determine|find|know|tell|say|be|recall|remember|identify|see|verify|think|confirm|decide)\b"
_SORRY = (
    r"(?:(?:i'm|i[ ]am|we[ ]are|we're)[ ](?:very[ ]|so[ ])?sorry|sorry|my[ ]apologies|i[ ]apologi[sz]e|unfortunately)"
)
_AS_AN_AI = r"as[ ]an?[ ](?:ai|(?:large[ ])?language[ ]model|assistant)\b[^.!?\n]{0,80}?"
_HELPING = (
    r"(?:help[ ](?!but\b|\w{1,20}ing\b)|help[.!]|help$|assist\b|comply\b|fulfil|answer[ ](?:that|this|your)\b|provide\b"
    r"|support\b|engage\b|participate\b|condone\b|do[ ](?:that|this)\b|discuss[ ](?:that|this)\b)"
)
_REFUSAL = re.compile(
    rf"[\"'*\s]{{0,8}}(?:"
    rf"{_SORRY}[,.!;: -]{{0,4}}(?:but[ ,]{{1,3}})?(?:{_AS_AN_AI}[, ]{{1,3}})?{_CANNOT}[ ]{{1,4}}(?!{_KNOWING})"
    rf"|{_AS_AN_AI}[, ]{{1,3}}{_CANNOT}[ ]{{1,4}}(?!{_KNOWING})"
    rf"|{_CANNOT}[ ]{{1,4}}{_HELPING})",
    re.IGNORECASE,
)


def _refuses(text: str) -> bool:
    return _REFUSAL.match(_ascii(text.lstrip()[:400])) is not None


# --- several values ------------------------------------------------------------------------------

_CORRECTION = re.compile(
    r"\b(?:wait|actually|correction|scratch that|on second thought|i mean|instead|no)\b", re.IGNORECASE
)


def _settle(text: str, mentions: Sequence[_Mention]) -> Reading:
    """One value: said throughout, or said last and after an explicit correction."""
    if not mentions:
        return _ABSENT
    last = mentions[-1]
    kept = last
    for earlier in reversed(mentions):
        if earlier.value != last.value:
            corrected = _CORRECTION.search(text, earlier.end, kept.start)
            return _extracted(last.value) if corrected else _AMBIGUOUS
        kept = earlier
    return _extracted(last.value)


# --- letters -------------------------------------------------------------------------------------

# Every single letter is looked at with what stands around it. It is *asserted* where the words before or behind it
# say so, *mentioned* where it stands as an option would, and prose otherwise. Assertions outrank mentions.
_CONTEXT = 48
_OPENING = 12
_OPEN, _CLOSE = r"[\"'*_`(\[{$]{0,5}", r"[\"'*_`)\]}$]{0,5}"
_LETTER = re.compile(r"(?<!\w)(?<!\w')[A-Za-z](?!\w)(?!'\w)")
_ALONE = re.compile(rf"\s?{_OPEN}([A-Za-z]){_CLOSE}[.:,;!]?{_CLOSE}", re.IGNORECASE)
_OPTION = r"(?:the )?(?:option|choice|letter)\s{0,3}"
_ASSERTING = re.compile(
    r"(?:\banswer|\b(?:choose|pick|select|chose)|\bcorrect (?:option|choice|one)|\bgo(?:ing)? with|boxed"
    r"|\bi(?:'d| would)? (?:think|say|believe|guess|mean)(?: that)?|\bit(?:'s| is)"
    r"|\b(?:wait|actually|correction|instead|no)[,:]?)"
    rf"(?:\s{{1,2}}(?:is|was|are|(?:would|should|must|will) be))?\s{{0,3}}[:=]?\s{{0,3}}(?:{_OPTION})?{_OPEN}",
    re.IGNORECASE,
)
_ENDING = re.compile(
    rf"{_CLOSE}(?:\s{{0,9}}$|[ \t]{{0,9}}\n|[.,;:!?](?!\w)|\s(?:because|since|as|due|given|which|for|or|and|but|is)\b)"
)
_RIGHT = re.compile(
    rf"{_CLOSE}\s(?:is|seems|looks) (?:the )?(?:(?:most|only) )?(?:correct|right|best|answer|true)\b", re.IGNORECASE
)
_REASON = re.compile(rf"{_CLOSE},?\s(?:because|since|as)\b")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_NAMING = re.compile(rf"\b(?:option|choice|letter)\s{{1,3}}{_OPEN}", re.IGNORECASE)
_STARTING = re.compile(rf"^[ \t>-]{{0,6}}{_OPEN}", re.MULTILINE)
_LABELLING = re.compile(rf"{_CLOSE}(?:[.)](?=[\s*_]|$)|:(?=\s)|\s{{0,9}}$|[ \t]{{0,9}}\n|[ \t]{{1,3}}-{{1,2}} )")
_DENIED = re.compile(
    rf"(?:\bnot|n't|\brather than|\binstead of|\bn?either|\bnor|\bnever)\s{{1,3}}(?:{_OPTION})?{_OPEN}", re.IGNORECASE
)
_WRONG = re.compile(
    rf"{_CLOSE}\s(?:isn't|(?:is|are|was|seems|looks) (?:not|incorrect|wrong|false|out|eliminated))\b", re.IGNORECASE
)
_JOIN = r"(?:\s{0,2}[,/&]\s{0,2}(?:or |and )?|\s{1,2}(?:or|and)\s{1,2})"
_JOINED = re.compile(rf"[A-Z]{_CLOSE}{_JOIN}{_OPEN}")
_JOINING = re.compile(rf"{_CLOSE}{_JOIN}{_OPEN}[A-Z](?![\w'])")
_LABELLED = re.compile(r"\s{0,4}[(\[]?([A-Za-z])[)\].:]{1,2}\s{1,4}")


def _read_letter(answer: str, _: Segment, choices: Sequence[str]) -> Reading:
    answer = _TEXT.sub(r"\1", _ascii(answer))
    allowed = ascii_uppercase[: len(choices)] if choices else ascii_uppercase
    options = _options(choices)
    asserted = _by_text(answer, options)
    alone = _ALONE.fullmatch(answer)
    if alone:
        asserted.append(_Mention(*alone.span(1), alone[1].upper()))
    mentioned: list[_Mention] = []
    for mention, said in _letters(answer, options):
        (asserted if said else mentioned).append(mention)
    if asserted:
        found = _settle(answer, sorted(asserted))
    else:
        found = _settle(answer, [m for m in mentioned if m.value in allowed])
    return found if found.value is None or found.value in allowed else _ABSENT


def _options(choices: Sequence[str]) -> dict[str, str]:
    """Text → letter, for texts that only one choice has; a label that a choice carries itself is left out."""
    texts = [_plain(_unlabelled(text, letter)) for text, letter in zip(choices, ascii_uppercase, strict=False)]
    pairs = zip(texts, ascii_uppercase, strict=False)
    return {text: letter for text, letter in pairs if text and texts.count(text) == 1}


def _unlabelled(choice: str, letter: str) -> str:
    label = _LABELLED.match(choice)
    return choice[label.end() :] if label and label[1].upper() == letter else choice


def _plain(text: str) -> str:
    """For comparison: case, blanks, quotes, bold and a final full stop do not count."""
    text = " ".join(_ascii(text).split()).strip("\"'*_` ")
    return text.removesuffix(".").strip("\"'*_` ").casefold()


def _by_text(answer: str, options: dict[str, str]) -> list[_Mention]:
    """Options whose whole text is the first or the last line, and only there: within a sentence it is prose."""
    longest = max(map(len, options), default=0) + _CONTEXT
    first, last = answer.split("\n", 1)[0], answer.rsplit("\n", 1)[-1]
    lines = ((0, first), (len(answer) - len(last), last))
    return [
        _Mention(start, start + len(line), letter)
        for start, line in lines
        if len(line) <= longest and (letter := options.get(_plain(_unprefixed(line))))
    ]


def _letters(answer: str, options: dict[str, str]) -> Iterator[tuple[_Mention, bool]]:
    """The letters that stand for options, and whether each is asserted."""
    around = _Surroundings(answer)
    own = {letter: text for text, letter in options.items()}
    longest = max(map(len, options), default=0) + _CONTEXT
    joined_to_said = False
    for match in _LETTER.finditer(answer):
        letter, (start, end) = match[0], match.span()
        if around.denies(start, end):
            continue
        said = around.asserts(letter, start, end) or (joined_to_said and start in around.joined)
        joined_to_said, sure = said, said or around.mentions(letter, start, end)
        if not sure and start not in around.starting:
            continue
        text = _plain(answer[end : end + longest].split("\n", 1)[0].lstrip(")]}.:-* "))
        if sure or (text and text == own.get(letter)):
            yield _Mention(start, end, letter.upper()), said
            if options.get(text, letter.upper()) != letter.upper():
                yield _Mention(end, end + 1, options[text]), said


class _Surroundings:
    """What stands before and behind a letter. Where the words before it end is looked up once for the whole text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asserting, self.naming, self.denied, self.joined, self.starting = (
            frozenset(match.end() for match in pattern.finditer(text))
            for pattern in (_ASSERTING, _NAMING, _DENIED, _JOINED, _STARTING)
        )

    def denies(self, start: int, end: int) -> bool:
        return start in self.denied or _WRONG.match(self.text, end) is not None

    def asserts(self, letter: str, start: int, end: int) -> bool:
        if not (self._wrapped(start, end) or letter.isupper()):
            return False
        if start in self.asserting and (self._wrapped(start, end) or _ENDING.match(self.text, end)):
            return True
        if start in self.starting and start <= _OPENING and _REASON.match(self.text, end):
            return True
        return _RIGHT.match(self.text, end) is not None

    def mentions(self, letter: str, start: int, end: int) -> bool:
        if not letter.isupper():
            return False
        if self._wrapped(start, end) and not self.text[start - 2 : start - 1].isalnum():
            return True
        question_and_answer = letter == "A" and self.text[end : end + 1] == ":"
        if start in self.starting and _LABELLING.match(self.text, end) and not question_and_answer:
            return True
        return start in self.naming or start in self.joined or _JOINING.match(self.text, end) is not None

    def _wrapped(self, start: int, end: int) -> bool:
        return self.text[max(0, start - 1) : start] in {"(", "["} and self.text[end : end + 1] in {")", "]"}


# --- numbers -------------------------------------------------------------------------------------

_GROUP = "\u00a0\u202f\u2009"
_NUMBER = re.compile(
    rf"(?<!\w)(?:\d{{1,9}} \d{{1,9}}/\d{{1,9}}(?![\w/])|\d(?:[\d,.:/{_GROUP}]*\d)?(?:[eE][+-]?\d{{1,3}}(?!\w))?)"
    r"|(?<![\w.])\.\d+",
    re.ASCII,
)
_WHOLE = re.compile(rf"(?:\d+|\d{{1,3}}(?:,\d{{3}})+|\d{{1,3}}(?:[{_GROUP}]\d{{3}})+)?(?:\.\d+)?", re.ASCII)
_SCIENTIFIC = re.compile(r"(\d{1,99}(?:\.\d{1,99})?)[eE]([+-]?\d{1,3})", re.ASCII)
_FRACTION = re.compile(r"(?:(\d{1,9}) )?(\d{1,18})/(\d{1,18})", re.ASCII)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b|_")
_SIGN = re.compile(r"(?:^|[^\w)\]])(-)[$€£¥]?$|=[ ]{0,2}(-)[ ]{0,2}[$€£¥]?$", re.ASCII)
_HYPHEN = re.compile(r"[^\W\d]-$")
_BARE = re.compile(r"[^\w\n]{0,12}(?:\w{1,24}[^\w\n]{1,3}){0,3}\w{0,24}[^\w\n]{0,12}")
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d{1,18})\}\{(\d{1,18})\}", re.ASCII)
_HASHES = re.compile(r"^####[ \t]{0,4}(?=[-$.\d])", re.MULTILINE | re.ASCII)


def _read_number(answer: str, segment: Segment, _: Sequence[str]) -> Reading:
    plain = _LATEX_FRACTION.sub(r"\1/\2", _ascii(answer))
    narrow = _narrowed(plain)
    for text in dict.fromkeys((narrow, plain)):
        mentions = list(_numbers(text))
        if mentions:
            return _ABSENT if _may_go_on(segment, text, mentions[-1]) else _value(text, mentions)
    return _ABSENT


def _narrowed(answer: str) -> str:
    """The part that says it is the result: boxed, behind `####`, or behind "the answer is"."""
    boxed = _BOXED.findall(answer)
    if boxed:
        return str(boxed[-1])
    return _tail(answer, _HASHES) or _tail(answer, _PHRASE) or answer


def _may_go_on(segment: Segment, text: str, last: _Mention) -> bool:
    """Whether the cut may have fallen inside the last number."""
    return segment.finish != "stop" and text[last.end :] in {"", ".", ","} and not segment.text[-1:].isspace()


def _numbers(text: str) -> Iterator[_Mention]:
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        before = text[max(0, start - 8) : start]
        if _ORDINAL.match(text, end) or _HYPHEN.search(before):
            continue
        minus = "-" if _SIGN.search(before) else ""
        for value in _values(match[0]):
            yield _Mention(start, end, minus + value if value != "0" else value)


def _values(written: str) -> Iterator[str]:
    """The canonical numbers in what was written: one, several where commas part them, none in dates and times."""
    if _WHOLE.fullmatch(written):
        yield _decimal(written)
    elif match := _SCIENTIFIC.fullmatch(written):
        yield _decimal(f"{Decimal(match[1]).scaleb(int(match[2])):f}")
    elif match := _FRACTION.fullmatch(written):
        if int(match[3]):
            yield str(int(match[1] or 0) + Fraction(int(match[2]), int(match[3])))
    elif "," in written:
        for piece in written.split(","):
            yield from (_values(piece) if "," not in piece and piece else ())


def _decimal(written: str) -> str:
    """Without separators and idle zeros. By hand: a Decimal rounds at its context's precision."""
    whole, _, part = re.sub(rf"[,{_GROUP}]", "", written).partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole


def _value(text: str, mentions: Sequence[_Mention]) -> Reading:
    """One number; the number that is a line of its own, at the start; the end of a chain of equations."""
    if len({m.value for m in mentions}) == 1:
        return _extracted(mentions[0].value)
    first = text.split("\n", 1)[0]
    bare = [m for m in mentions if m.start < len(first)]
    if len(bare) == 1 and len(first) < len(text) and _BARE.fullmatch(first[bare[0].end :]) and _opens(first, bare[0]):
        return _extracted(bare[0].value)
    return _chained(text, mentions) or _settle(text, mentions)


def _opens(line: str, mention: _Mention) -> bool:
    return not re.search(r"\w", line[: mention.start][:200]) and mention.start <= 200  # noqa: PLR2004  # more is no start


def _chained(text: str, mentions: Sequence[_Mention]) -> Reading | None:
    """What the last `=` gives, where nothing but that follows it and it is not one of several assignments."""
    results = list(_results(text, mentions))
    after = {m.value for m in mentions if m.start > text.rfind("=")}
    if not results or after != {results[-1].value}:
        return None
    left = re.split(r"[;\n]|,\s|\band\b", text[: text.rfind("=")][-200:])[-1]
    if re.search(r"\d|^\s*$", left) or len({r.value for r in results[-2:]}) == 1:
        return _extracted(results[-1].value)
    return _AMBIGUOUS


def _results(text: str, mentions: Sequence[_Mention]) -> Iterator[_Mention]:
    """The numbers right behind a `=`."""
    return (m for m in mentions if re.search(r"=[\s$€£¥*({-]{0,6}$", text[max(0, m.start - 8) : m.start]))


# --- spans and free text -------------------------------------------------------------------------

_PREFIX = re.compile(
    r"[*_\s]{0,6}(?:(?:so|therefore|thus|hence)[, ]{1,2})?(?:(?:the|my)[ ]{1,3})?"
    r"(?:(?:final|correct|right|best)[ ]{1,3})?answer"
    r"(?:[ ]{1,3}(?:is|was)\b[ ]{0,3}:?|[*_]{0,3}[ ]{0,3}:)[*_]{0,3}\s{0,3}",
    re.IGNORECASE,
)
_WRAPPINGS = (
    ("**", "**"),
    ('"', '"'),
    ("'", "'"),
    ("`", "`"),
    ("*", "*"),
    ("_", "_"),
    ("\u201c", "\u201d"),
    ("\u2018", "\u2019"),
)
_UNSTATED = frozenset({"not stated", "unanswerable", "not answerable", "not mentioned", "not given", "not in the text"})
_ABBREVIATION = re.compile(r"(?:^|.*[\s(])(?:\w\.){2,8}", re.DOTALL)


def _unprefixed(line: str) -> str:
    prefix = _PREFIX.match(line)
    return line[prefix.end() :] if prefix else line


def _read_span(answer: str, segment: Segment, _: Sequence[str]) -> Reading:
    line, _rest, more = _unprefixed(answer).strip().partition("\n")
    value = _trimmed(line)
    if _refuses(answer) or not value:
        return _ABSENT
    if segment.finish != "stop" and not more and not segment.text.endswith("\n"):
        return _ABSENT
    return _extracted(NOT_STATED if value.casefold() in _UNSTATED else value)


def _trimmed(line: str) -> str:
    """Without the quotes or bold around it and the full stop behind it; a full stop of an abbreviation stays."""
    line = line.strip()
    while True:
        shorter = _unwrapped(line)
        if shorter.endswith(".") and not shorter.endswith("..") and not _ABBREVIATION.fullmatch(shorter[-20:]):
            shorter = shorter[:-1].rstrip()
        if shorter == line:
            return line
        line = shorter


def _unwrapped(line: str) -> str:
    for opening, closing in _WRAPPINGS:
        inner = line[len(opening) : -len(closing)]
        if inner and line == f"{opening}{inner}{closing}" and opening not in inner and closing not in inner:
            return inner.strip()
    return line


def _read_free(answer: str, segment: Segment, _: Sequence[str]) -> Reading:
    return _ABSENT if segment.finish != "stop" or _refuses(answer) else _extracted(answer)


_FORMS = {"letter": _read_letter, "number": _read_number, "span": _read_span, "free": _read_free}
