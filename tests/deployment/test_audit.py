"""The dependency audit tells apart what is new, what is accepted and what nobody could ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import audit

FOUND = {
    "dependencies": [
        {"name": "calm", "version": "1.0", "vulns": []},
        {
            "name": "leaky",
            "version": "2.0",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.1"]}],
        },
    ]
}


def test_an_unknown_vulnerability_is_named_with_its_cure() -> None:
    wrong, used = audit.judge(FOUND, {})
    assert wrong == ["leaky 2.0: CVE-2026-1 = PYSEC-1; fixed in 2.1"]
    assert used == set()


def test_an_accepted_one_is_found_by_its_alias() -> None:
    assert audit.judge(FOUND, {"CVE-2026-1": "why"}) == ([], {"CVE-2026-1"})


def test_an_exception_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "audit.yaml"
    path.write_text("CVE-2026-1: because\n")
    with pytest.raises(ValueError, match="needs a reason"):
        audit.exceptions(path)


def test_our_own_exceptions_have_reasons() -> None:
    assert "CVE-2026-45829" in audit.exceptions()


def test_a_package_that_the_service_does_not_know_counts_as_not_audited() -> None:
    report = {"dependencies": [*FOUND["dependencies"], {"name": "strange", "skip_reason": "not found"}]}
    assert audit.unanswered(report) == ["strange"]
    assert audit.judge(report, {"CVE-2026-1": "why"})[0] == []
