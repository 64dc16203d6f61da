"""`mindbot kb`: add documents, see how far they are, search them, take them away."""

from __future__ import annotations

import logging

import click
import structlog

from mindbot_tasks.cli.kb.adding import add
from mindbot_tasks.cli.kb.changing import reindex, remove
from mindbot_tasks.cli.kb.evaluating import evaluate
from mindbot_tasks.cli.kb.shown import list_documents, search, show


@click.group()
@click.pass_context
def kb(context: click.Context) -> None:
    """Look after the knowledge base."""
    # what went wrong is told in words, and standard output may be JSON
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    context.call_on_close(lambda: structlog.configure(**before))


for _command in (add, list_documents, show, search, remove, reindex, evaluate):
    kb.add_command(_command)
