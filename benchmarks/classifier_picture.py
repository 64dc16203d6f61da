"""Draws what the shipped classifier takes for what: python -m benchmarks.classifier_picture docs/images/classifier.svg."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.labels import SHIPPED
from mindbot_tasks.chat.learned import current, examples, measuring
from mindbot_tasks.core.settings import WorkflowSettings


def draw(path: Path) -> None:
    """One table for each language: a row for what messages were, a column for what they were taken for."""
    classifier = Classifier({name: WorkflowSettings() for name in SHIPPED}, current.shipped())

    def classify(text: str) -> tuple[str, float]:
        found = classifier.classify(text)
        return found.label, found.confidence

    judged, _ = measuring.judge(examples.held_out(), classify)
    names = sorted(SHIPPED)
    languages = measuring.by_language(judged)
    figure, axes = plt.subplots(1, len(languages), figsize=(10, 4.6), sharey=True, layout="constrained")
    for axis, (language, group) in zip(axes, languages.items(), strict=True):
        found = measuring.report(group)
        counts = [[found.confusion.get((row, column), 0) for column in names] for row in names]
        axis.imshow(counts, cmap="Blues", vmin=0)
        for row, line in enumerate(counts):
            for column, count in enumerate(line):
                if count:
                    axis.text(column, row, count, ha="center", va="center", color="white" if count > 7 else "black")
        axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axis.set_yticks(range(len(names)), names)
        axis.set_title(f"{language}: {found.accuracy:.1%} of {found.count}, macro-F1 {found.macro_f1:.2f}")
        axis.set_xlabel("taken for")
    axes[0].set_ylabel("was")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
