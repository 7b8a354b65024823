"""The linear models of the recipe: the baseline that the encoder is held against, its teacher, the second scorer."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from orca_guard_toxicity import ngrams

from .rows import FOLDS, Row

Array = np.ndarray[Any, Any]
Scores = Callable[[Sequence[str]], Array]

ANALYSERS: Final[dict[str, dict[str, Any]]] = {
    "words": {"ngram_range": (1, 2), "min_df": 2},
    "words and symbols": {"ngram_range": (1, 2), "min_df": 2, "token_pattern": r"\w+|[^\w\s]"},
    "characters": {"analyzer": "char_wb", "ngram_range": (2, 5), "min_df": 3},
}
"""What terms may be: words as scikit-learn has them by default, words and single symbols, n-grams within words."""
STRENGTHS: Final = (1.0, 4.0)
BALANCES: Final = (0.0, 1.0)


def balanced(rows: Sequence[Row], *, power: float) -> Array:
    """A weight a row: a set's rows of one label count together as many as they are, to the power of 1 - `power`."""
    counts = Counter((row.source, row.toxic) for row in rows)
    weights = np.array([counts[row.source, row.toxic] ** -power for row in rows])
    return np.asarray(weights * len(rows) / weights.sum())


def tfidf(rows: Sequence[Row], *, terms: str, strength: float = 4.0, balance: float = 0.0) -> Scores:
    """Logistic regression over TF-IDF (scikit-learn), fitted to rows → log odds of texts."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415  # only the recipe has scikit-learn
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    vectorizer = TfidfVectorizer(sublinear_tf=True, **ANALYSERS[terms])
    held = vectorizer.fit_transform([row.text for row in rows])
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit(held, [row.toxic for row in rows], sample_weight=balanced(rows, power=balance))
    return lambda texts: np.asarray(model.decision_function(vectorizer.transform(texts)))


def out_of_fold(rows: Sequence[Row]) -> list[float]:
    """A probability a row, by models that saw no row of its fold: the mean log odds of words and characters."""
    scores = np.zeros(len(rows))
    for fold in range(FOLDS):
        places = [place for place, row in enumerate(rows) if row.fold == fold]
        others = [row for row in rows if row.fold != fold]
        for terms in ("words and symbols", "characters") if places else ():
            found = tfidf(others, terms=terms, balance=0.5)([rows[place].text for place in places])
            scores[places] += found / 2
    return [float(value) for value in 1 / (1 + np.exp(-scores))]


def fit_ngrams(rows: Sequence[Row], *, path: Path, strength: float = 4.0) -> None:
    """Fit the second scorer and write its weights, in half precision."""
    from safetensors.numpy import save_file  # noqa: PLC0415
    from scipy.sparse import csr_array  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    held = [ngrams.features(row.text) for row in rows]
    ends = np.cumsum([0, *map(len, held)])
    values = np.array([value for found in held for value in found.values()])
    places = np.array([place for found in held for place in found])
    matrix = csr_array((values, places, ends), shape=(len(rows), ngrams.BUCKETS))
    model = LogisticRegression(C=strength, max_iter=500)
    model.fit(matrix, [row.toxic for row in rows], sample_weight=balanced(rows, power=0.5))
    save_file(
        {"weights": model.coef_[0].astype("float16"), "bias": model.intercept_.astype("float32")}, path
    )  # fmt: skip
