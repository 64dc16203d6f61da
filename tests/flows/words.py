"""What a message must hold for `tests.flows.poison` to act."""

from __future__ import annotations

DEADLY = "arsenic"
INDIGESTIBLE = "gravel"
