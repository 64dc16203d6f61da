"""`mindbot db`: bring the database to the schema of this version."""

from __future__ import annotations

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.stores import migrate


@click.group()
def db() -> None:
    """Look after the database."""


@db.command()
@told_plainly
def upgrade() -> None:
    """Migrate to the schema of this version; safe to run twice."""
    before, after = migrate.upgrade()
    if before == after:
        click.echo(f"database: already at revision {after}")
    else:
        click.echo(f"database: {before or 'empty'} -> revision {after}")
