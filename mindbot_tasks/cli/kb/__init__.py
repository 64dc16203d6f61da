"""`mindbot kb`: add documents, see how far they are, search them, take them away."""

from __future__ import annotations

import click

from mindbot_tasks.cli.kb.adding import add
from mindbot_tasks.cli.kb.changing import reindex, remove
from mindbot_tasks.cli.kb.evaluating import evaluate
from mindbot_tasks.cli.kb.shown import list_documents, search, show


@click.group()
def kb() -> None:
    """Look after the knowledge base."""


for _command in (add, list_documents, show, search, remove, reindex, evaluate):
    kb.add_command(_command)
