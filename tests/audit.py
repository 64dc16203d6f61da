"""The dependency audit of `make check`: known vulnerabilities in the lock, with reasoned exceptions.

A vulnerability that is not listed in tests/audit.yaml fails; so does an exception without a reason. When the advisory
service cannot be reached nothing was learnt: that is said, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.txt"
EXCEPTIONS = ROOT / "tests" / "audit.yaml"
UNREACHABLE = (
    "ConnectionError",
    "Connection",
    "ProxyError",
    "Timeout",
    "resolve",
    "SSLError",
    "ServiceError",
    "HTTPError",
)
PATIENCE_S = 120


def exceptions(path: Path = EXCEPTIONS) -> dict[str, str]:
    """Advisory -> why it does not concern us. Raises ValueError for one without a reason."""
    loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    for advisory, reason in loaded.items():
        if not isinstance(reason, str) or len(reason.split()) < 5:
            raise ValueError(f"{path.name}: {advisory} needs a reason")
    return dict(loaded)


def judge(report: Mapping[str, Any], accepted: Mapping[str, str]) -> tuple[list[str], set[str]]:
    """What is wrong, as lines for people, and which exceptions were used."""
    wrong, used = [], set[str]()
    for package in report["dependencies"]:
        for finding in package.get("vulns", []):
            names = {finding["id"], *finding.get("aliases", [])}
            if known := names & accepted.keys():
                used |= known
                continue
            fixed = ", ".join(finding.get("fix_versions", [])) or "no version yet"
            wrong.append(f"{package['name']} {package['version']}: {' = '.join(sorted(names))}; fixed in {fixed}")
    return wrong, used


def unanswered(report: Mapping[str, Any]) -> list[str]:
    """The packages about which nothing was learnt; pip-audit calls them skipped and still speaks of success."""
    return [package["name"] for package in report["dependencies"] if "skip_reason" in package]


def main() -> int:
    """Run pip-audit over the lock; returns the exit code."""
    accepted = exceptions()
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        click.echo(f"audit: NOT DONE, the advisory service did not answer within {PATIENCE_S} s")
        return 0
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        if any(word in done.stderr for word in UNREACHABLE):
            click.echo(f"audit: NOT DONE, the advisory service cannot be reached ({last[:200]})")
            return 0
        click.echo(f"audit: pip-audit failed: {last}", err=True)
        return 1
    wrong, used = judge(report, accepted)
    asked, skipped = len(report["dependencies"]), unanswered(report)
    for line in wrong:
        click.echo(f"audit: {line}", err=True)
    if len(skipped) == asked:
        click.echo(f"audit: NOT DONE, the advisory service knows none of our {asked} packages (a mirror?)")
    elif skipped:
        click.echo(f"audit: NOT COMPLETE, no answer for {len(skipped)} of {asked} packages: {', '.join(skipped)}")
    else:
        for advisory in sorted(accepted.keys() - used):
            click.echo(f"audit: the exception for {advisory} is not needed any more; remove it from {EXCEPTIONS.name}")
        click.echo(f"audit: {asked} packages, {len(wrong)} vulnerable, {len(used)} accepted with a reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
