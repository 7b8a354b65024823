"""Names of groups of people, and texts with one group's names put in the place of another's."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a group is called in each form; the first is what another group's name becomes.

    A word that is both a noun and an adjective stands with the adjectives, where it is found.
    """

    plural: tuple[str, ...]
    singular: tuple[str, ...]
    adjective: tuple[str, ...]


GROUPS: Final[dict[str, Terms]] = {
    "muslim": Terms(plural=("muslims",), singular=("muslim",), adjective=("muslim", "islamic")),
    "jewish": Terms(plural=("jews", "jewish people"), singular=("jew",), adjective=("jewish",)),
    "christian": Terms(plural=("christians",), singular=("christian",), adjective=("christian",)),
    "hindu": Terms(plural=("hindus",), singular=("hindu",), adjective=("hindu",)),
    "black": Terms(
        plural=("black people", "blacks", "black folks", "african americans"), singular=("black person",),
        adjective=("black", "african american", "african"),
    ),
    "white": Terms(plural=("white people", "whites", "white folks"), singular=("white person",), adjective=("white",)),
    "asian": Terms(plural=("asians", "asian people"), singular=("asian",), adjective=("asian",)),
    "chinese": Terms(plural=("chinese people",), singular=("chinese person",), adjective=("chinese",)),
    "indian": Terms(plural=("indians", "indian people"), singular=("indian",), adjective=("indian", "pakistani")),
    "mexican": Terms(plural=("mexicans",), singular=("mexican",), adjective=("mexican",)),
    "latino": Terms(
        plural=("latinos", "latinas", "hispanics"), singular=("latino",), adjective=("latino", "latina", "hispanic")
    ),
    "middle-east": Terms(
        plural=("arabs", "middle easterners"), singular=("arab",), adjective=("arab", "middle eastern", "arabic")
    ),
    "native-american": Terms(
        plural=("native americans", "indigenous people"), singular=("native american",),
        adjective=("native american", "indigenous"),
    ),
    "gay": Terms(
        plural=("gay people", "gays", "lesbians", "homosexuals"), singular=("gay person", "lesbian", "homosexual"),
        adjective=("gay", "queer", "bisexual"),
    ),
    "trans": Terms(
        plural=("trans people", "transgender people"), singular=("trans person",), adjective=("trans", "transgender")
    ),
    "women": Terms(plural=("women",), singular=("woman",), adjective=("female",)),
    "men": Terms(plural=("men",), singular=("man",), adjective=("male",)),
    "disabled": Terms(
        plural=("disabled people", "people with disabilities", "handicapped people"), singular=("disabled person",),
        adjective=("disabled", "handicapped"),
    ),
    "mentally-ill": Terms(
        plural=("mentally ill people", "people with mental illness", "autistic people"),
        singular=("mentally ill person",), adjective=("mentally ill", "autistic", "schizophrenic"),
    ),
    "immigrant": Terms(plural=("immigrants", "refugees"), singular=("immigrant", "refugee"), adjective=("foreign",)),
}  # fmt: skip

NOT_FOUND: Final = frozenset({"man", "foreign"})
"""Words too common in other senses to be taken for a group's name."""

_KNOWN: Final[dict[str, tuple[str, str]]] = {
    term: (group, form)
    for form in ("singular", "plural", "adjective")
    for group, terms in GROUPS.items()
    for term in getattr(terms, form)
    if term not in NOT_FOUND
}
_TERM = re.compile(
    rf"\b(?:(an?)\s+)?({'|'.join(sorted(map(re.escape, _KNOWN), key=len, reverse=True))})\b", re.IGNORECASE
)

Choose = Callable[[str, str], str]
"""A group that is named and a form → what is to stand there."""


def mentioned(text: str) -> list[str]:
    """The groups that a text names, in the order of their first mention."""
    return list(dict.fromkeys(_KNOWN[found[1].lower()][0] for found in _TERM.findall(text)))


def replaced(text: str, choose: Choose) -> str:
    """The text with every name of a group put through `choose`; articles and capitals follow."""

    def _one(found: re.Match[str]) -> str:
        article, name = found[1], found[2]
        term = choose(*_KNOWN[name.lower()])
        if name.isupper() and len(name) > 1:
            term = term.upper()
        elif name[0].isupper():
            term = term[0].upper() + term[1:]
        if article is None:
            return term
        right = article[0] + ("n" if term[0].lower() in "aeiou" else "")
        return f"{right} {term}"

    return _TERM.sub(_one, text)


def swapped(text: str, *, old: str, new: str) -> str:
    """The text with the names of one group in the place of another's: its counterfactual."""

    def _choose(group: str, form: str) -> str:
        return str(getattr(GROUPS[new if group == old else group], form)[0])

    return replaced(text, _choose)
