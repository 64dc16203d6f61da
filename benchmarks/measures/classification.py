"""How long one core needs to say what a message is for, and how often the shipped classifier is right."""

from __future__ import annotations

from time import process_time

from benchmarks.figures import Bench, Figure, Measured, at_least, at_most
from benchmarks.load import percentile
from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.labels import SHIPPED
from mindbot_tasks.chat.learned import current, examples, measuring
from mindbot_tasks.core.settings import WorkflowSettings


def measure(bench: Bench) -> Measured:
    """The shipped model on the messages that it was not trained with, over and over."""
    rounds = bench.of(5, 40)
    classifier = Classifier({name: WorkflowSettings() for name in SHIPPED}, current.shipped())
    messages = examples.held_out()
    bench.say(f"{len(messages)} messages, {rounds} times")
    taken_ms = []
    for _ in range(rounds):
        for message in messages:
            started = process_time()
            classifier.classify(message.text)
            taken_ms.append((process_time() - started) * 1000)

    def classify(text: str) -> tuple[str, float]:
        found = classifier.classify(text)
        return found.label, found.confidence

    judged, _ = measuring.judge(messages, classify)
    figures = [
        at_most("classification, median", percentile(taken_ms, 0.5), 2, "ms", digits=2),
        Figure("classification, p99", f"{percentile(taken_ms, 0.99):.2f} ms"),
    ]
    for language, group in measuring.by_language(judged).items():
        found = measuring.report(group)
        share = found.right / found.count
        figures.append(at_least(f"right of {found.count} messages, {language}, no patterns", share, 0.92, "", digits=3))
    return Measured(
        "Classification",
        f"CPU time of one core for each of the {len(messages)} held-out messages that come with MindBot, {rounds} times, by "
        "what was learned alone, without patterns and without a conversation. The same hand wrote them and the training "
        "set, at another time: see docs/classifier.md.",
        figures,
        {"taken_ms": [round(each, 4) for each in taken_ms]},
    )
