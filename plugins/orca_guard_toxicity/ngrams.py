"""A second scorer that shares nothing with the encoder: logistic regression over hashed character n-grams."""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

BUCKETS: Final = 1 << 17
SIZES: Final = (1, 2, 3, 4, 5)
_SKIPPED = re.compile(r"https?://\S+|@\w+|&#?\w+;")


def features(text: str) -> dict[int, float]:
    """Bucket → value: 1 + ln of how often n-grams of the bucket occur, at length 1 over all buckets.

    N-grams are of words with a space on both sides, in lower case and without accents; a bucket is the crc32 of the
    n-gram's UTF-8 modulo `BUCKETS`. A text without a word has none.
    """
    folded = unicodedata.normalize("NFKD", _SKIPPED.sub(" ", text)).casefold()
    bare = "".join(c for c in folded if unicodedata.category(c) not in {"Mn", "Cf"})
    counts: Counter[str] = Counter()
    for word, times in Counter(bare.split()).items():
        padded = f" {word} "
        for size in SIZES:
            for start in range(len(padded) - size + 1):
                counts[padded[start : start + size]] += times
    counts.pop(" ", None)
    values: dict[int, float] = {}
    for gram, times in counts.items():
        bucket = zlib.crc32(gram.encode("utf-8", "surrogatepass")) % BUCKETS
        values[bucket] = values.get(bucket, 0.0) + 1 + math.log(times)
    length = math.sqrt(math.fsum(value * value for value in values.values())) or 1.0
    return {bucket: value / length for bucket, value in values.items()}


@dataclass(frozen=True)
class Ngrams:
    """Weights of the buckets, shape [BUCKETS], and what a text without any scores."""

    weights: np.ndarray[Any, Any]
    bias: float

    @classmethod
    def load(cls, path: Path) -> Ngrams:
        """Read what the recipe wrote: `weights` [BUCKETS] and `bias` [1] in safetensors.

        Raises:
            ValueError: the file holds something else.
        """
        from safetensors.numpy import load_file  # noqa: PLC0415  # heavy, and only loading needs it

        held = load_file(path)
        if held.keys() != {"weights", "bias"} or held["weights"].shape != (BUCKETS,) or held["bias"].shape != (1,):
            raise ValueError(
                f"{path} does not hold weights of {BUCKETS} buckets and a bias. Take the file of the wheel."
            )
        return cls(held["weights"].astype("float32"), float(held["bias"][0]))

    def score(self, texts: Sequence[str]) -> list[float]:
        """A probability of being toxic a text, in order."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> float:
        logit = self.bias + math.fsum(float(self.weights[k]) * value for k, value in features(text).items())
        return 0.5 * (1 + math.tanh(logit / 2))
