"""How much longer than promised something may take in a test: machines that run tests are slow and shared."""

from __future__ import annotations

import os

#: with 1, on a quiet machine, every promise is held to the letter; kill test and benchmarks measure them anyway
SLACK = float(os.environ.get("MINDBOT_TEST_SLACK", "4"))
#: a virtual machine may be stopped for so long in the midst of anything
STALL_S = 8.0 if SLACK > 1 else 0.0


def at_most(promised_s: float) -> float:
    """Seconds that a test allows for what is promised within `promised_s` seconds."""
    return promised_s * SLACK + STALL_S
