"""The long form: `python -m tests.chaos --kills 200 --messages 10000`; exit 1 when a promise was broken."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.chaos import report, trial
from tests.chaos.history import PLATFORMS


@click.command()
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--kills", type=click.IntRange(0), default=200, show_default=True)
@click.option("--messages", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--rate", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Messages per second.")
@click.option("--conversations", type=click.IntRange(1, 99), default=50, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--platforms", default=",".join(PLATFORMS), show_default=True, help="Those that take part.")
@click.option("--without-sweeper", is_flag=True, help="To see the checker fail.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Default: a new one.")
def main(folder: Path | None, without_sweeper: bool, platforms: str, **options: object) -> None:
    """Kill everything again and again while messages come in, then judge by the logs."""
    wanted = tuple(name.strip() for name in platforms.split(","))
    if unknown := set(wanted) - set(PLATFORMS):
        raise click.BadParameter(f"unknown: {', '.join(sorted(unknown))}", param_hint="--platforms")
    place = folder or Path(tempfile.mkdtemp(prefix="mindbot-chaos-"))
    settings = trial.Settings(drain_s=180.0, sweeper=not without_sweeper, platforms=wanted, **options)  # type: ignore[arg-type]
    verdict = trial.run(settings, place)
    picture = report.draw(place, trial.logs_in(place).read())
    click.echo((place / "report.txt").read_text(encoding="utf-8"))
    click.echo(f"logs and figures: {place}, picture: {picture}")
    sys.exit(1 if verdict.failures else 0)


if __name__ == "__main__":
    main()
