"""The dependency audit of `make check`: known vulnerabilities in the lock, with reasoned exceptions.

A vulnerability that is not listed in tests/audit.yaml fails; so does an exception without a reason or one that is no
longer needed. When the advisory service cannot be reached nothing was learnt: that is said, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def main() -> int:
    """Run pip-audit over the lock; returns the exit code."""
    accepted = exceptions()
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "20"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"audit: NOT DONE, the advisory service did not answer within {PATIENCE_S} s")
        return 0
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        if any(word in done.stderr for word in UNREACHABLE):
            print(f"audit: NOT DONE, the advisory service cannot be reached ({last[:200]})")
            return 0
        print(f"audit: pip-audit failed: {last}", file=sys.stderr)
        return 1
    wrong, used = judge(report, accepted)
    for line in wrong:
        print(f"audit: {line}", file=sys.stderr)
    for advisory in sorted(accepted.keys() - used):
        print(f"audit: the exception for {advisory} is not needed any more; remove it from {EXCEPTIONS.name}")
    if not wrong:
        print(f"audit: {len(report['dependencies'])} packages, nothing known against them but {len(used)} exceptions")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
