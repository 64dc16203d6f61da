"""`mindbot emulate NAME`: a stand-in of a vendor on this machine."""

from __future__ import annotations

import click


@click.command(
    name="emulate",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def emulate(arguments: tuple[str, ...]) -> None:
    """Run a stand-in of a vendor: of a platform or a model provider (NAME --help tells more)."""
    # Imported here: the other commands need not wait for a web server to be loaded.
    from emulators.command import emulate as emulators

    emulators.main(list(arguments) or ["--help"], prog_name="mindbot emulate")
