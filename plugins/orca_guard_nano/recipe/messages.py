"""The system messages and request frames that the model is trained to know, word for word."""

from typing import Final

DIRECT: Final = "direct"
STEPS: Final = "step-by-step"
RECALL: Final = "recall-generate"
REASON: Final = "recall-reason-generate"
EXTRACT: Final = "extract-generate"
CAUTIOUS: Final = "cautious"

SYSTEM: Final[dict[str, str]] = {
    DIRECT: "Answer directly. Give only the answer, with no explanation.",
    STEPS: (
        "Think step by step. Write out each step of the work, then give the result on a last line "
        "that begins with 'Answer:'."
    ),
    RECALL: (
        "First recall the facts that bear on the question, then answer. Begin the facts with 'Recall:' "
        "and the last line with 'Answer:'."
    ),
    REASON: (
        "First recall the facts that bear on the question, then reason from them, then answer. Begin the "
        "facts with 'Recall:', the reasoning with 'Reason:' and the last line with 'Answer:'."
    ),
    EXTRACT: (
        "Work only from the text you are given. First copy the sentences that bear on the question, "
        "then answer from them alone."
    ),
    CAUTIOUS: (
        "You are nano, a tiny demonstration model. You are a cautious assistant: you choose how to work, "
        "and you say so when you do not know."
    ),
}

EXPLICIT: Final[tuple[str, ...]] = (DIRECT, STEPS, RECALL, REASON, EXTRACT)

COPY_REQUEST: Final = (
    "Copy, word for word, the sentences above that bear on the question. Begin with 'Extract:'. "
    "If there are none, write 'Extract: none'."
)
ANSWER_REQUEST: Final = (
    "Answer from the extract alone, on a line that begins with 'Answer:'. "
    "If the extract does not hold the answer, write 'Answer: not stated'."
)

# Messages a host may send that are none of ours: the model then chooses for itself, as under the cautious one.
UNFAMILIAR: Final[tuple[str, ...]] = (
    "You are a helpful assistant.",
    "You are Orca, an AI language model created by Microsoft.",
    "You are an AI assistant. Be honest and brief.",
    "Be kind.",
    "Help the user with the question.",
    "You are a teacher who explains things to children.",
    "Reply in English.",
    "You are a friendly chat bot.",
    "You are a careful assistant that says when it does not know.",
    "Please be polite and truthful.",
    "You are an expert.",
    "Use the context to help the user.",
)


def copy_request(question: str) -> str:
    """First pass of extract-generate."""
    return f"{question}\n\n{COPY_REQUEST}"


def answer_request(question: str, *, extract: str) -> str:
    """Second pass of extract-generate, a fresh conversation."""
    return f"Extract:\n{extract}\n\n{question}\n\n{ANSWER_REQUEST}"
