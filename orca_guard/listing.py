"""`items.jsonl`: the items of a plan, a line each, with how much of them is asked."""

from __future__ import annotations

from collections.abc import Sequence

from orca_guard.identity import canonical
from orca_guard.items import Item, item_digest
from orca_guard.journal.dealing import weighed


def lines_of(benchmark: str, items: Sequence[Item]) -> bytes:
    """The lines of a benchmark's items, in their order."""
    weights = weighed([asked_text(item).encode("utf-8", "surrogatepass") for item in items], [i.cluster for i in items])
    rows = (
        {
            "benchmark": benchmark,
            "id": item.id,
            "digest": item_digest(item),
            "cluster": item.cluster,
            "groups": item.groups,
            "length": weight.length,
            "shared": weight.shared,
        }
        for item, weight in zip(items, weights, strict=True)
    )
    return b"".join(canonical(row) + b"\n" for row in rows)


def asked_text(item: Item) -> str:
    """Everything that is put to a model, about in the order in which it reads it, and what is answered already."""
    if item.question is not None:
        *before, last = (message.content for message in item.question.messages)
        parts = (*before, *(document.text for document in item.question.documents), last, *item.question.choices)
    else:
        assert item.request is not None, "an item has a question or a request"
        said = (message.content for message in item.request.messages)
        parts = (*said, item.request.context, *item.request.continuations)
    return "\n".join((*parts, *item.given))
