"""The classifier's own small tokenizer: pieces of words, and every emoji a token of its own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL: Final = (PAD, UNKNOWN, START, END)
PAD_ID, UNKNOWN_ID, START_ID, END_ID = range(len(SPECIAL))
LENGTH: Final = 128
"""Tokens that are read at once; longer texts are read in windows."""
ALPHABET: Final = 1500

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


def build(texts: Iterable[str], *, vocabulary: int) -> Tokenizer:
    """Train it on texts."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(list(_NORMAL))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.Split(Regex(r"\p{L}[\p{L}']*|\P{L}"), "isolated"),
    ])  # fmt: skip
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=list(SPECIAL), show_progress=False,
        limit_alphabet=ALPHABET, continuing_subword_prefix="##",
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
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
