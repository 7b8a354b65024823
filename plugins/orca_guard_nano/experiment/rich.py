"""What each strategy writes when it may write all that it needs: it decides the order and the layout, not the content.

Every strategy but the direct one may recall facts, quote the text, take steps and name the option, in any category. So
none is best by construction, and what is best has to be measured.
"""

from typing import Final

from orca_guard_nano.recipe.items import NOT_STATED, Item
from orca_guard_nano.recipe.messages import DIRECT, EXPLICIT, EXTRACT, REASON, RECALL, STEPS

NOTHING: Final = "none"
MALFORMED: Final = "malformed"


def _given(item: Item) -> tuple[str, ...]:
    """Facts of the world, or sentences of the text."""
    return (*item.recall, *item.quote)


def _derived(item: Item) -> tuple[str, ...]:
    """What follows from them."""
    option = (f"{item.answer} is {item.gold}.",) if item.options else ()
    if item.answer == NOT_STATED:
        return ("The text does not say it.",)
    return (*(f"{step}." for step in item.steps), *option)


def reply(item: Item, *, strategy: str) -> str:
    """An answer in the form of a strategy."""
    given, derived, answer = _given(item), _derived(item), f"Answer: {item.gold}"
    if strategy == DIRECT:
        return item.gold
    if strategy == STEPS:
        return "\n".join((*given, *derived, answer))
    if strategy == RECALL:
        return f"Recall: {' '.join((*given, *derived)) or NOTHING}\n{answer}"
    if strategy == REASON:
        reasons = " ".join(derived) or f"So it is {item.answer}."
        return f"Recall: {' '.join(given) or NOTHING}\nReason: {reasons}\n{answer}"
    if strategy == EXTRACT:
        # What was given is the text, or where there is none the question itself.
        copied = " ".join(item.quote) or (NOTHING if item.text else " ".join(item.question.split()))
        return "\n".join((f"Extract: {copied}", *item.recall, *derived, answer))
    raise ValueError(f"no form for {strategy}")


def form_of(text: str) -> str:
    """The strategy whose form a text has."""
    lines = text.strip().split("\n")
    ends = lines[-1].startswith("Answer:")
    if not ends:
        plain = len(lines) == 1 and lines[0] and "Answer:" not in text and not text.startswith(("Recall:", "Extract:"))
        return DIRECT if plain else MALFORMED
    if text.startswith("Recall:"):
        return REASON if "\nReason:" in text else RECALL
    if text.startswith("Extract:"):
        return EXTRACT
    return STEPS if len(lines) > 1 else MALFORMED


__all__ = ["EXPLICIT", "MALFORMED", "form_of", "reply"]
