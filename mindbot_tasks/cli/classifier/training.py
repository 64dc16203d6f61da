"""`mindbot classifier train`: learn from all examples, compare with the version in use, and keep the better one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click

from mindbot_tasks.chat.learned import current, examples, measuring
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.chat.learned.measuring import Report
from mindbot_tasks.chat.learned.model import Model
from mindbot_tasks.chat.rules import without_prefix
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.database import reading, transaction

KEPT = 10  #: versions that stay in the database


@click.command()
@click.option(
    "--file", "files", type=click.Path(path_type=Path, dir_okay=False), multiple=True,
    help="More examples: JSON lines with `text` and `label`; may be repeated.",
)  # fmt: skip
@click.option("--no-activate", is_flag=True, help="Keep the new version, but go on with the old one.")
@told_plainly
def train(files: tuple[Path, ...], no_activate: bool) -> None:
    """Train a new version from the examples that come with MindBot, those that were collected, and yours.

    It becomes active only if it is more often right than the version in use on examples that neither was trained with.
    """
    settings = get_settings()
    lang = lang_of(settings.language)
    collected = [*_collected(settings), *(one for path in files for one in examples.read(path))]
    learn_from, apart = examples.divided(collected)
    counts = Counter(one.origin for one in collected)
    click.echo(
        say(
            "classifier.examples", lang, shipped=len(examples.shipped()), collected=len(collected), apart=len(apart),
            origins=", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "-",
        )
    )  # fmt: skip
    from mindbot_tasks.chat.learned import training  # loads scikit-learn

    trained = training.train([*examples.shipped(), *learn_from], _progress(lang))
    for label, count in trained.left_out.items():
        click.echo(say("classifier.left_out", lang, label=label, count=count, fewest=training.FEWEST))
    by_cross_validation = measuring.report(trained.judged)
    for name, group in measuring.by_language(trained.judged).items():
        click.echo(say("classifier.crossed", lang, language=name, **_told(measuring.report(group))))
    old_number = current.follow_database()
    measure_on = [*examples.held_out(), *apart]
    old, new = (_measured(model, measure_on) for model in (current.in_use(), trained.model))
    click.echo(say("classifier.old", lang, version=old_number, **_told(old)))
    click.echo(say("classifier.new", lang, **_told(new)))
    figures = {
        "examples": trained.model.about["examples"],
        "collected": len(learn_from),
        "cross_validated": round(by_cross_validation.accuracy, 4),
        "held_out": len(measure_on),
        "held_out_accuracy": round(new.accuracy, 4),
        "old_version": old_number,
        "old_accuracy": round(old.accuracy, 4),
    }
    better = new.right > old.right
    with transaction() as connection:
        version = learning.add_version(connection, trained.model.dumps(), figures)
        if better and not no_activate:
            learning.activate(connection, version)
        learning.forget_versions(connection, keep=KEPT)
    key = "kept_back" if better and no_activate else "activated" if better else "not_better"
    click.echo(say(f"classifier.{key}", lang, version=version, old=old_number))


def _collected(settings: Settings) -> list[Labelled]:
    """The examples in the database, as `classify` saw them."""
    with reading() as connection:
        found = learning.examples(connection)
    collected = []
    for one in found:
        text = without_prefix(one.text, settings.bot(one.platform, one.bot))
        if text.strip():
            collected.append(Labelled(text, one.label, examples.language(text), one.source))
    return collected


def _measured(model: Model, wanted: list[Labelled]) -> Report:
    def classify(text: str) -> tuple[str, float]:
        found = model.probabilities(text)
        label = max(found, key=lambda name: found[name])
        return label, found[label]

    return measuring.report(measuring.judge(wanted, classify)[0])


def _told(found: Report) -> dict[str, str]:
    return {
        "right": str(found.right),
        "count": str(found.count),
        "accuracy": f"{found.accuracy:.1%}",
        "macro_f1": f"{found.macro_f1:.3f}",
        "error": f"{found.calibration_error:.3f}",
    }


def _progress(lang: Lang) -> Callable[[int, int, str], None]:
    def tell(step: int, steps: int, doing: str) -> None:
        if sys.stderr.isatty():
            click.echo(
                f"\r{step * 100 // steps:3d} % {say(f'classifier.{doing}', lang):<24}", err=True, nl=step == steps
            )
        else:
            click.echo(f"{step * 100 // steps} % {say(f'classifier.{doing}', lang)}", err=True)

    return tell
