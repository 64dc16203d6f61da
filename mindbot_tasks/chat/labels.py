"""The names that a kind of request can have."""

from __future__ import annotations

from collections.abc import Iterable

#: what fits nothing else
GENERAL = "general_chat"
#: those that the shipped version of the classifier knows
SHIPPED = frozenset({GENERAL, "code_analysis", "document_processing", "data_analysis", "creative_writing", "research"})


def known_labels(workflows: Iterable[str]) -> frozenset[str]:
    """What a message may be labelled as: a configured workflow, or what MindBot knows by itself."""
    return SHIPPED | set(workflows)
