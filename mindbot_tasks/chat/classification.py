"""Which workflow a message is for: the patterns of the configuration, what was learned, and the talk before it.

Pure, and linear in the text's length. docs/classifier.md tells it in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mindbot_tasks.chat.labels import GENERAL
from mindbot_tasks.chat.learned import current
from mindbot_tasks.chat.learned.model import FOLLOW_UP, Model, Piece, softmax
from mindbot_tasks.chat.patterns import Hit, Patterns
from mindbot_tasks.core.settings import ClassifierSettings, WorkflowSettings
from mindbot_tasks.model.answer import Classification

_NO_MATCH_CONFIDENCE = 0.1
#: how much a pattern speaks for a workflow that the model knows as well: little if the model has seen the word, for
#: then its weights say how much the word is worth; much if it has not, for then the operator knows more
_PATTERN_KNOWN = 0.7
_PATTERN_NEW = 8.0
#: a message further back counts that much less
_STEP_BACK = 0.7
_LEAST_CONTEXT = 0.1


@dataclass(frozen=True, slots=True)
class Context:
    """The workflow that the conversation is in, and how much that still counts (0 to 1)."""

    label: str
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that led to a classification."""

    hits: Mapping[str, Hit]  #: by workflow
    learned: Mapping[str, float]  #: what the model alone thinks; empty: it was not asked
    pieces: Mapping[str, Sequence[Piece]]  #: what of the text speaks most for the likeliest labels
    context: Context | None
    threshold: float
    fused: Mapping[str, float]  #: probabilities after patterns and context
    outcome: Classification


class Classifier:
    """The patterns of all enabled workflows and, unless it is None, a trained model."""

    def __init__(
        self,
        workflows: Mapping[str, WorkflowSettings],
        model: Model | None = None,
        rules: ClassifierSettings | None = None,
    ) -> None:
        enabled = {name: settings for name, settings in workflows.items() if settings.enabled}
        self._priorities = {name: settings.priority for name, settings in enabled.items()}
        self._patterns = Patterns(enabled)
        # where nothing but general chat can come out, there is nothing to ask a model for
        self._model = model if any(name != GENERAL for name in enabled) else None
        self._rules = rules or ClassifierSettings()

    @classmethod
    def of(
        cls,
        workflows: Mapping[str, WorkflowSettings],
        only: Sequence[str] = (),
        rules: ClassifierSettings | None = None,
    ) -> Classifier:
        """The classifier of these settings with the version in use, made once for as long as both stay the same.

        only: names of the workflows that may be found; empty: all.
        """
        global _latest
        rules = rules or _DEFAULT
        model = current.in_use() if rules.enabled and workflows else None
        if _latest is None or _latest[0] is not workflows or _latest[1] is not model or _latest[2] is not rules:
            _latest = (workflows, model, rules, {})
        known, wanted = _latest[3], tuple(only)
        found = known.get(wanted)
        if found is None:
            chosen = {name: one for name, one in workflows.items() if not wanted or name in wanted}
            found = known[wanted] = cls(chosen, model, rules)
        return found

    def classify(self, text: str, otherwise: str = "", recent: Sequence[tuple[str, int]] = ()) -> Classification:
        """The likeliest workflow; between equals the one with the lower priority number.

        otherwise: the workflow for what fits none. recent: the labels of the same person's messages before this one in
        the conversation, newest first, each with its age in milliseconds.
        """
        return self._explain(text, otherwise, recent).outcome

    def explain(self, text: str, otherwise: str = "", recent: Sequence[tuple[str, int]] = ()) -> Explanation:
        """As `classify`, with everything that led to it."""
        found = self._explain(text, otherwise, recent)
        if self._model is None:
            return found
        likeliest = sorted(found.learned, key=lambda label: -found.learned[label])[:3]
        pieces = {label: self._model.pieces(text, label) for label in likeliest}
        return Explanation(
            found.hits, found.learned, pieces, found.context, found.threshold, found.fused, found.outcome
        )

    def _explain(self, text: str, otherwise: str, recent: Sequence[tuple[str, int]]) -> Explanation:
        hits = self._patterns.search(text)
        model, threshold = self._model, self._rules.threshold
        if model is None or not text.strip():
            return Explanation(hits, {}, {}, None, threshold, {}, self._by_patterns(hits, otherwise))
        logits = model.logits(text)
        learned = dict(zip(model.labels, softmax(logits, model.temperature), strict=True))
        fused = self._fused(model, logits, hits)
        context = self._context(recent)
        carried = fused.pop(FOLLOW_UP, 0.0)
        if context is not None:
            fused[context.label] = fused.get(context.label, 0.0) + carried * context.weight
            carried *= 1 - context.weight
        fused[GENERAL] = fused.get(GENERAL, 0.0) + carried
        outcome = self._decide(fused, hits, learned, context, otherwise)
        return Explanation(hits, learned, {}, context, threshold, fused, outcome)

    def _by_patterns(self, hits: Mapping[str, Hit], otherwise: str) -> Classification:
        """What the patterns alone say."""
        if not hits:
            return Classification(otherwise or GENERAL, _NO_MATCH_CONFIDENCE, "no pattern matches")
        label = min(hits, key=lambda name: (-hits[name].score, self._priorities[name], name))
        total = sum(hit.score for hit in hits.values())
        confidence = _strength(hits[label].score, total)
        scores = {name: round(hit.score, 3) for name, hit in hits.items()}
        return Classification(label, round(confidence, 3), f"pattern: {_shown(hits[label])}", scores)

    def _fused(self, model: Model, logits: Sequence[float], hits: Mapping[str, Hit]) -> dict[str, float]:
        """Probabilities of all labels that the model knows and of all workflows whose patterns fit.

        For a label that the model knows, a pattern adds to its logit. A workflow that it does not know gets its share
        from the patterns alone, and the rest is for the others.
        """
        total = sum(hit.score for hit in hits.values())
        raised = list(logits)
        strangers = {name: hit.score for name, hit in hits.items() if name not in model.labels}
        for at, label in enumerate(model.labels):
            if hit := hits.get(label):
                known = all(model.knows(word) for word in hit.words)
                worth = _PATTERN_KNOWN if known else _PATTERN_NEW
                raised[at] += worth * _strength(hit.score, total) * model.temperature
        shares = softmax(raised, model.temperature)
        fused = dict(zip(model.labels, shares, strict=True))
        if strangers:
            strange = sum(strangers.values())
            theirs = _strength(strange, total)
            fused = {label: share * (1 - theirs) for label, share in fused.items()}
            fused |= {name: theirs * score / strange for name, score in strangers.items()}
        return fused

    def _context(self, recent: Sequence[tuple[str, int]]) -> Context | None:
        """The last workflow that was about something, decayed by time and by what was said since."""
        half_ms = self._rules.sticky_minutes * 60_000
        if half_ms <= 0:
            return None
        for back, (label, age_ms) in enumerate(recent):
            if label != GENERAL and label in self._priorities:
                weight = 0.5 ** (age_ms / half_ms) * _STEP_BACK**back
                return Context(label, round(weight, 4)) if weight >= _LEAST_CONTEXT else None
        return None

    def _decide(
        self,
        fused: Mapping[str, float],
        hits: Mapping[str, Hit],
        learned: Mapping[str, float],
        context: Context | None,
        otherwise: str,
    ) -> Classification:
        scores = {name: round(value, 3) for name, value in fused.items() if value >= 0.0005}
        label = min(fused, key=lambda name: (-fused[name], self._priorities.get(name, 0), name))
        confidence = fused[label]
        if confidence < self._rules.threshold:
            doubt = f"unsure ({label} {confidence:.2f})"
            if context is not None:
                return Classification(
                    context.label, round(max(fused.get(context.label, 0.0), 0.0), 3),
                    f"context: {context.label} ({context.weight:.2f}), {doubt}", scores,
                )  # fmt: skip
            general = otherwise or GENERAL
            return Classification(general, round(fused.get(general, 0.0), 3), doubt, scores)
        if label == GENERAL or label not in self._priorities:
            reason = "learned" if label == GENERAL else f"{label}, which is off here"
            general = otherwise or GENERAL
            if label == GENERAL and (hit := hits.get(label)):
                reason = f"pattern: {_shown(hit)}; learned"
            return Classification(general, round(confidence, 3), reason + f" {confidence:.2f}", scores)
        reasons = [f"pattern: {_shown(hits[label])}"] if label in hits else []
        if label in learned:
            reasons.append(f"learned {learned[label]:.2f}")
        if context is not None and context.label == label:
            reasons.append(f"context {context.weight:.2f}")
        return Classification(label, round(confidence, 3), "; ".join(reasons), scores)


_DEFAULT = ClassifierSettings()
_latest: (
    tuple[Mapping[str, WorkflowSettings], Model | None, ClassifierSettings, dict[tuple[str, ...], Classifier]] | None
) = None


def _strength(score: float, total: float) -> float:
    """0 to 1: half for how much speaks for it, half for how little speaks for others."""
    return 0.5 * score / (score + 1) + 0.5 * score / total


def _shown(hit: Hit) -> str:
    return ", ".join(dict.fromkeys(word[:30] for word in hit.words[:4]))
