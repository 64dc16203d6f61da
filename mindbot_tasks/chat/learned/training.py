"""Training a version of the classifier. Needs scikit-learn; only the command line imports this."""

from __future__ import annotations

import array
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from mindbot_tasks.chat.learned.carelessness import careless
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.chat.learned.features import counts_for, features
from mindbot_tasks.chat.learned.measuring import Judged
from mindbot_tasks.chat.learned.model import RARITY_STEP, Model, rarity_code, softmax
from mindbot_tasks.core.errors import PayloadInvalid

FEWEST = 8  #: a label with fewer examples is not learned
MOST_FEATURES = 30_000
_FOLDS = 5
_STRENGTH = 1.0  # scikit-learn's C
#: what the logarithms of the naive Bayes count beside the weights of the support vector machine
_BAYES = 0.1
_SMOOTHING = 0.05
#: what the careless copy of a shipped utterance counts; people's own words are as careless as they are
_CARELESS = 0.5
#: what one example counts
_WEIGHTS = {"shipped": 1.0, "file": 1.0, "correction": 3.0, "reask": 1.0, "thumb": 0.5}

Progress = Callable[[int, int, str], None]  #: step, of how many, what is being done


@dataclass(frozen=True)
class Trained:
    """A new version, and how its like did on examples that it had not seen."""

    model: Model
    judged: list[Judged]  #: by cross-validation, with calibrated confidence
    left_out: dict[str, int]  #: labels with too few examples


def train(examples: Sequence[Labelled], progress: Progress = lambda *_: None) -> Trained:
    """Learn from `examples`. Raises PayloadInvalid when there are not two labels with enough of them."""
    counts = Counter(one.label for one in examples)
    left_out = {label: count for label, count in counts.items() if count < FEWEST}
    examples = [one for one in examples if one.label not in left_out]
    labels = sorted({one.label for one in examples})
    if len(labels) < 2:
        raise PayloadInvalid(f"training needs two labels with at least {FEWEST} examples each")
    steps = _FOLDS + 2
    progress(0, steps, "features")
    seen = [features(one.text) for one in examples]
    copies = {at: features(careless(one.text, one.lang)) for at, one in enumerate(examples) if one.origin == "shipped"}
    wanted = np.array([labels.index(one.label) for one in examples])
    weights = _weights(examples, wanted)
    logits = np.zeros((len(examples), len(labels)))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0).split(wanted, wanted)
    for number, (those, others) in enumerate(folds, 1):
        progress(number, steps, "cross-validation")
        part = _Fit(*_with_copies(seen, copies, those, wanted, weights))
        logits[others] = part.logits([seen[at] for at in others])
    temperature = _temperature(logits, wanted)
    judged = [
        Judged(one, labels[int(np.argmax(row))], max(softmax(row.tolist(), temperature)))
        for one, row in zip(examples, logits, strict=True)
    ]
    progress(_FOLDS + 1, steps, "training")
    fit = _Fit(*_with_copies(seen, copies, range(len(examples)), wanted, weights))
    about = {"examples": len(examples), "labels": {label: counts[label] for label in labels}}
    model = fit.model(tuple(labels), temperature, about)
    progress(steps, steps, "done")
    return Trained(model, judged, left_out)


def _with_copies(
    seen: Sequence[Sequence[str]], copies: Mapping[int, Sequence[str]], those: Sequence[int], wanted: Any, weights: Any
) -> tuple[list[Sequence[str]], Any, Any]:
    """The examples of these numbers and their careless copies: what is seen in them, their labels and weights."""
    copied = [at for at in those if at in copies]
    at = np.array([*those, *copied], dtype=int)
    counts = np.concatenate([weights[list(those)], weights[copied] * _CARELESS])
    return [*(seen[one] for one in those), *(copies[one] for one in copied)], wanted[at], counts


def _weights(examples: Sequence[Labelled], wanted: Any) -> Any:
    """What each example counts: rare labels a little more, and what people have corrected."""
    sizes = np.bincount(wanted)
    balance = np.sqrt(sizes.mean() / sizes)
    return np.array([_WEIGHTS[one.origin] for one in examples]) * balance[wanted]


class _Fit:
    """A linear support vector machine and a naive Bayes on tf-idf, computed just as `Model` will.

    The one sees what tells labels apart, the other what is usual for each, also of features that are rare. Both are
    linear, so that their sum is a single weight for each feature and label.
    """

    def __init__(self, seen: Sequence[Sequence[str]], wanted: Any, weights: Any) -> None:
        documents = Counter(feature for one in seen for feature in set(one))
        # twice at least: what is in one text only says nothing of others, and a single person's words are not kept
        common = sorted((f for f, count in documents.items() if count > 1), key=lambda f: (-documents[f], f))
        self.vocabulary = sorted(common[: 4 * MOST_FEATURES])
        self._fit(seen, wanted, weights, documents)
        if len(self.vocabulary) > MOST_FEATURES:
            worth = np.abs(self.coefficients).max(axis=0) * np.sqrt([documents[f] for f in self.vocabulary])
            best = np.argsort(-worth, kind="stable")[:MOST_FEATURES]
            self.vocabulary = sorted(self.vocabulary[at] for at in best)
            self._fit(seen, wanted, weights, documents)

    def _fit(self, seen: Sequence[Sequence[str]], wanted: Any, weights: Any, documents: Counter[str]) -> None:
        self._index = {feature: at for at, feature in enumerate(self.vocabulary)}
        self.rarity = bytes(
            rarity_code((math.log((1 + len(seen)) / (1 + documents[f])) + 1) * counts_for(f)) for f in self.vocabulary
        )
        machine = LinearSVC(C=_STRENGTH, max_iter=10_000, random_state=0)
        bayes = MultinomialNB(alpha=_SMOOTHING)
        matrix = self._matrix(seen)
        with threadpool_limits(1):  # more threads than free cores take many times as long
            machine.fit(matrix, wanted, sample_weight=weights)
            bayes.fit(matrix, wanted, sample_weight=weights)
        coefficients, bias = machine.coef_, machine.intercept_
        if len(bias) == 1:  # of two labels scikit-learn keeps one row
            coefficients = np.vstack([-coefficients, coefficients])
            bias = np.array([-bias[0], bias[0]])
        coefficients = coefficients + _BAYES * bayes.feature_log_prob_
        # what speaks for all labels alike says nothing, and would take the 8 bits of a weight from what does
        self.coefficients, self.bias = coefficients - coefficients.mean(axis=0), bias - bias.mean()

    def _matrix(self, seen: Sequence[Sequence[str]]) -> Any:
        values: list[float] = []
        columns: list[int] = []
        ends = [0]
        for one in seen:
            counts = Counter(at for feature in one if (at := self._index.get(feature)) is not None)
            row = [(at, (1 + math.log(count)) * self.rarity[at] * RARITY_STEP) for at, count in counts.items()]
            length = math.sqrt(sum(value * value for _, value in row)) or 1.0
            columns += [at for at, _ in row]
            values += [value / length for _, value in row]
            ends.append(len(columns))
        return csr_matrix((values, columns, ends), shape=(len(seen), len(self.vocabulary)))

    def logits(self, seen: Sequence[Sequence[str]]) -> Any:
        return self._matrix(seen) @ self.coefficients.T + self.bias

    def model(self, labels: tuple[str, ...], temperature: float, about: dict[str, Any]) -> Model:
        scale = float(np.abs(self.coefficients).max() / 127) or 1.0
        codes = np.rint(self.coefficients / scale).astype(np.int8)
        return Model(
            labels=labels,
            bias=tuple(float(value) for value in self.bias),
            scale=scale,
            temperature=temperature,
            vocabulary=tuple(self.vocabulary),
            rarity=self.rarity,
            weights=array.array("b", codes.T.tobytes()),
            about=about,
        )


def _temperature(logits: Any, wanted: Any) -> float:
    """By which logits must be divided to be most probable, of values from 0.1 to 3."""

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        highest = scaled.max(axis=1, keepdims=True)
        sums = np.log(np.exp(scaled - highest).sum(axis=1)) + highest[:, 0]
        return float((sums - scaled[np.arange(len(wanted)), wanted]).mean())

    return min((step / 50 for step in range(5, 151)), key=loss)
