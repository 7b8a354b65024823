"""The model's own byte-level tokenizer: one token a digit, one for each of the messages it is trained on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import chat, facts, world
from .messages import ANSWER_REQUEST, COPY_REQUEST, SYSTEM
from .mixture import documents

START, END, TEXT_END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|pad|>"
SPECIAL: Final = (PAD, TEXT_END, START, END)
PAD_ID: Final = 0  # the first special is the first entry of the vocabulary
# A digit never carries its space, so that a number looks the same wherever it stands.
SPLIT: Final = r"\d| ?\p{L}+| ?[^\s\p{L}\d]+|\s"
TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _corpus(seed: int, *, count: int) -> Iterator[str]:
    stream = documents(seed)
    for _ in range(count):
        yield "".join(text for text, _ in next(stream))
    names = [name for relation in facts.RELATIONS for pair in relation.pairs for name in pair]
    names += [c.name for c in world.COUNTRIES] + [word for form in chat.BEYOND for word in form.split()]
    for name in names:
        yield f" {name} {name.lower()} " * 40


def build(*, vocabulary: int = 3072, seed: int = 0, count: int = 30_000) -> Tokenizer:
    """Train the tokenizer on a sample of the recipe's own stream."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    phrases = [*SYSTEM.values(), COPY_REQUEST, ANSWER_REQUEST]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(phrases), special_tokens=list(SPECIAL), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    tokenizer.train_from_iterator(_corpus(seed, count=count), trainer)
    # One token a fixed message: a third of every conversation would be spent on them otherwise.
    tokenizer.add_tokens([AddedToken(phrase, normalized=False, special=False) for phrase in phrases])
    return tokenizer


def save(tokenizer: Tokenizer, *, directory: Path) -> None:
    """Write what transformers needs to load it."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415  # a second that only saving costs

    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, bos_token=None, unk_token=None,
        clean_up_tokenization_spaces=False, model_max_length=2048, additional_special_tokens=[START, TEXT_END],
    )  # fmt: skip
    fast.chat_template = TEMPLATE
    fast.save_pretrained(directory)
