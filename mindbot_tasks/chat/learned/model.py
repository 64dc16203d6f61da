"""A trained version of the classifier: small numbers for each feature it knows, read from JSON, used without numpy."""

from __future__ import annotations

import array
import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from mindbot_tasks.chat.learned import features
from mindbot_tasks.core.errors import PayloadInvalid

#: messages that only make sense after the one before them: continue, shorter, why
FOLLOW_UP = "follow_up"
RARITY_STEP = 1 / 24  # values up to 10.6
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A feature of a text, and how much it speaks for a label."""

    feature: str
    weight: float


@dataclass(frozen=True, eq=False)
class Model:
    """A linear model on tf-idf, with weights of 8 bits; probabilities are calibrated."""

    labels: tuple[str, ...]
    bias: tuple[float, ...]
    scale: float  #: what a weight of 1 means
    temperature: float  #: logits are divided by it, so that 80 % sure is right in 80 % of cases
    vocabulary: tuple[str, ...]
    rarity: bytes  #: of each feature: its idf, times what its kind counts
    weights: array.array[int]  #: those of the first feature for each label, those of the second ...
    about: Mapping[str, Any]  #: figures of its training

    @cached_property
    def _rows(self) -> dict[str, tuple[float, ...]]:
        """Feature -> its rarity, then its weight for each label."""
        count = len(self.labels)
        worth = [code * self.scale for code in range(128)] + [code * self.scale for code in range(-128, 0)]
        rarities = [code * RARITY_STEP for code in range(256)]
        codes = self.weights.tobytes()  # the same number is the same object: a third of the memory
        return {
            feature: (rarities[self.rarity[at]], *(worth[code] for code in codes[at * count : at * count + count]))
            for at, feature in enumerate(self.vocabulary)
        }

    def knows(self, word: str) -> bool:
        """Whether this word (lower case) was seen in training, so that the weights already account for it."""
        rows = self._rows
        if word in rows:
            return True
        # words of Latin letters as a whole, longer Chinese ones by their pairs of signs
        return all(
            f"w:{part}" in rows
            if part.isascii()
            else all(part[at : at + 2] in rows for at in range(max(1, len(part) - 1)))
            for part in word.split()
        )

    def logits(self, text: str) -> list[float]:
        """How much speaks for each label, in the order of `labels`."""
        totals = [0.0] * len(self.labels)
        norm = 0.0
        for row, tf in self._seen(text):
            value = row[0] * tf
            norm += value * value
            for at in range(len(totals)):
                totals[at] += value * row[at + 1]
        length = math.sqrt(norm) or 1.0
        return [bias + total / length for bias, total in zip(self.bias, totals, strict=True)]

    def probabilities(self, text: str) -> dict[str, float]:
        """How probable each label is; in sum 1."""
        return dict(zip(self.labels, softmax(self.logits(text), self.temperature), strict=True))

    def pieces(self, text: str, label: str, limit: int = 8) -> list[Piece]:
        """The features of a text that speak most for a label, strongest first; weighed as in probabilities."""
        at = self.labels.index(label) + 1
        found = self._counted(text)
        norm = math.sqrt(sum((self._rows[f][0] * tf) ** 2 for f, tf in found.items())) or 1.0
        norm *= self.temperature
        weights = [Piece(f, self._rows[f][0] * tf * self._rows[f][at] / norm) for f, tf in found.items()]
        return sorted(weights, key=lambda piece: -piece.weight)[:limit]

    def _counted(self, text: str) -> dict[str, float]:
        rows = self._rows
        counts: dict[str, int] = {}
        for feature in features.features(text):
            if feature in rows:
                counts[feature] = counts.get(feature, 0) + 1
        return {feature: 1.0 if count == 1 else 1 + math.log(count) for feature, count in counts.items()}

    def _seen(self, text: str) -> list[tuple[tuple[float, ...], float]]:
        rows = self._rows
        return [(rows[feature], tf) for feature, tf in self._counted(text).items()]

    def dumps(self) -> bytes:
        """As JSON."""
        return orjson.dumps(
            {
                "features": features.VERSION,
                "labels": self.labels,
                "bias": [round(value, 5) for value in self.bias],
                "scale": self.scale,
                "temperature": round(self.temperature, 4),
                "about": dict(self.about),
                "vocabulary": "\n".join(self.vocabulary),
                "rarity": base64.b64encode(self.rarity).decode(),
                "weights": base64.b64encode(self.weights.tobytes()).decode(),
            }
        )


def loads(data: bytes) -> Model:
    """The model that `dumps` wrote. Raises PayloadInvalid for anything else, or one of other features than ours."""
    if len(data) > _MOST_BYTES:
        raise PayloadInvalid("a classifier version of this size is none of ours")
    try:
        read = orjson.loads(data)
        if read["features"] != features.VERSION:
            raise PayloadInvalid("this version of the classifier was trained by another version of MindBot; train anew")
        weights = array.array("b", base64.b64decode(read["weights"], validate=True))
        model = Model(
            labels=tuple(str(label) for label in read["labels"]),
            bias=tuple(_finite(value) for value in read["bias"]),
            scale=_finite(read["scale"]),
            temperature=_finite(read["temperature"]),
            vocabulary=tuple(read["vocabulary"].split("\n")),
            rarity=base64.b64decode(read["rarity"], validate=True),
            weights=weights,
            about=dict(read["about"]),
        )
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise PayloadInvalid(f"this is no version of the classifier ({type(exc).__name__})") from exc
    size = len(model.vocabulary)
    fits = (
        len(model.rarity) == size and len(weights) == size * len(model.labels) and len(model.bias) == len(model.labels)
    )
    if not fits or not model.labels or model.temperature <= 0:
        raise PayloadInvalid("this version of the classifier is incomplete")
    _ = model._rows  # now, and not while the first message waits
    return model


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def rarity_code(rarity: float) -> int:
    """A rarity in the 8 bits that are kept of it."""
    return min(255, max(0, round(rarity / RARITY_STEP)))


def softmax(logits: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Probabilities of logits."""
    highest = max(logits)
    powers = [math.exp((logit - highest) / temperature) for logit in logits]
    total = sum(powers)
    return [power / total for power in powers]
