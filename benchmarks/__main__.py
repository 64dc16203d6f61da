"""The command: `python -m benchmarks` measures all there is; `make bench` calls it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import report
from benchmarks.figures import Bench, Measured
from benchmarks.measures import ALL


@click.command()
@click.option("--quick", is_flag=True, help="A short form of a few minutes.")
@click.option("--only", multiple=True, type=click.Choice(list(ALL)), help="May be repeated.")
@click.option("--database", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write everything there, raw values too.")
@click.option("--page/--no-page", default=None, help="Write docs/performance.md. Default: when all is measured.")
@click.option("--strict", is_flag=True, help="Exit with 1 when a budget is missed.")
def main(
    quick: bool, only: tuple[str, ...], database: str, json_path: Path | None, page: bool | None, strict: bool
) -> None:
    """Measure MindBot on real processes on this machine, against its budgets."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that everything is ended in order
    if (load := os.getloadavg()[0]) > 1:
        click.echo(f"this machine is busy already (load {load:.1f}); only ratios will mean something", err=True)
    about = {**report.machine(), "database": database}
    measured: dict[str, Measured] = {}
    folder = Path(tempfile.mkdtemp(prefix="mindbot-bench-"))
    bench = Bench(folder, database, quick)
    try:
        for number, name in enumerate(only or ALL, 1):
            started = time.monotonic()
            click.echo(f"[{number}/{len(only or ALL)}] {name}")
            measured[name] = ALL[name](bench)
            if json_path is not None:  # whoever interrupts a long run keeps what is measured
                report.save_json(json_path, measured, about)
            click.echo(f"  {time.monotonic() - started:.0f} s")
    finally:
        failure = sys.exc_info()[0]
        if failure is None or issubclass(failure, (KeyboardInterrupt, SystemExit)):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            click.echo(f"what the processes wrote is in {folder}", err=True)
        report.show(list(measured.values()))
    if page if page is not None else not only:
        picture = report.DOCS / "performance.png"
        drawn = report.draw(picture, measured)
        report.write_page(report.DOCS / "performance.md", measured, about, picture.name if drawn else "", quick=quick)
        click.echo(f"written: {report.DOCS / 'performance.md'}")
    missed = [figure.what for each in measured.values() for figure in each.figures if figure.verdict == "MISSED"]
    if missed and strict:
        sys.exit(1)


if __name__ == "__main__":
    main()
