"""`mindbot classifier`: train and measure what decides which workflow a message is for, and tell why it decided so."""

from __future__ import annotations

import click

from mindbot_tasks.cli.classifier.evaluating import evaluate
from mindbot_tasks.cli.classifier.explaining import explain
from mindbot_tasks.cli.classifier.labelling import correct
from mindbot_tasks.cli.classifier.training import train
from mindbot_tasks.cli.classifier.versions import activate, list_versions


@click.group()
def classifier() -> None:
    """Train and measure the classifier."""


for _command in (train, evaluate, explain, list_versions, correct, activate):
    classifier.add_command(_command)
