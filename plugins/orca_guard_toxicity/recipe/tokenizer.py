"""The classifier's own small tokenizer: pieces of words, and every emoji a token of its own."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL: Final = (PAD, UNKNOWN, START, END)
PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(len(SPECIAL))
LENGTH: Final = 128
"""Tokens that are read at once; longer texts are read in windows."""
ALPHABET: Final = 1500
WITHIN: Final = "##"
"""Before a piece that does not begin its word."""

_NORMAL: Final = (
    normalizers.Replace(Regex(r"https?://\S+"), " http "),
    normalizers.Replace(Regex(r"@\w+"), "@"),
    normalizers.Replace("&amp;", "&"),
    normalizers.Replace(Regex(r"&#?\w+;"), " "),
    normalizers.NFKD(),
    normalizers.Lowercase(),
    # Accents, and the invisible characters that words are broken up with.
    normalizers.Replace(Regex(r"[\p{M}\p{Cf}]"), ""),
)


def build(texts: Sequence[str], *, vocabulary: int) -> Tokenizer:
    """Train it on texts: the same for the same.

    The trainer takes characters, and what goes on within a word, in an order that differs from run to run, and breaks
    ties by it; so both are handed to it in order.
    """
    tokenizer = _empty(models.BPE(unk_token=UNKNOWN))
    counts = Counter(character for text in texts for character in tokenizer.normalizer.normalize_str(text))
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    alphabet = [character for character in ranked if not character.isspace()][:ALPHABET]
    within = [f"{WITHIN}{character}" for character in alphabet if character.isalpha() or character == "'"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=[*SPECIAL, *within], show_progress=False,
        initial_alphabet=alphabet, limit_alphabet=len(alphabet), continuing_subword_prefix=WITHIN,
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return _finished(json.loads(tokenizer.to_str())["model"])


def _empty(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(list(_NORMAL))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Split(Regex(r"\p{L}[\p{L}']*|\P{L}"), "isolated"),
    ])  # fmt: skip
    return tokenizer


def _finished(trained: dict[str, Any]) -> Tokenizer:
    """The trained pieces, of which only the four marks are special."""
    merges = [(left, right) for left, right in trained["merges"]]
    model = models.BPE(trained["vocab"], merges, unk_token=UNKNOWN, continuing_subword_prefix=WITHIN)
    tokenizer = _empty(model)
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", pair=f"{START} $A {END} $B {END}", special_tokens=[(START, START_ID), (END, END_ID)]
    )
    return tokenizer


def save(tokenizer: Tokenizer, *, directory: Path) -> None:
    """Write what transformers needs to load it."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  # a second that only saving costs

    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=PAD, unk_token=UNKNOWN, cls_token=START, sep_token=END,
        model_max_length=LENGTH, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    fast.save_pretrained(directory)
