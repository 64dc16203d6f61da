"""What MindBot exports, and what an expression of PromQL asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import REGISTRY

from mindbot_tasks.core import metrics  # noqa: F401 - registers the counters
from mindbot_tasks.exporting import catalogue

#: Prometheus' own
OTHERS: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate", "severity"}}
#: labels that Prometheus adds when it scrapes
SCRAPED = {"job", "instance"}


def counted() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Name (of a counter with _total) -> type, meaning and labels, of everything in core.metrics."""
    found = {}
    for collector in list(
        REGISTRY._collector_to_names
    ):  # the library has no other way to learn labels without a sample
        if not getattr(collector, "_name", "").startswith("mindbot_"):
            continue
        kind, name = collector._type, collector._name
        found[name + ("_total" if kind == "counter" else "")] = (kind, collector._documentation, collector._labelnames)
    return found


def exported() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """The same of everything on the page."""
    gauges = {gauge.name: ("gauge", gauge.about, gauge.labels) for gauge in catalogue.every()}
    both = counted()
    assert not both.keys() & gauges.keys()
    return {**both, **gauges}


def samples() -> dict[str, set[str]]:
    """Name of a sample -> its labels."""
    found = {name: set(labels) | SCRAPED for name, labels in OTHERS.items()}
    for name, (kind, _, labels) in exported().items():
        if kind == "histogram":
            found[f"{name}_bucket"] = {*labels, "le", *SCRAPED}
            found[f"{name}_sum"] = found[f"{name}_count"] = {*labels, *SCRAPED}
        else:
            found[name] = {*labels, *SCRAPED}
    return found


_TOKEN = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<range>\[[^\]]*\])|(?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?[a-z]*)|(?P<mark>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])|(?P<space>\s+)""",
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}


def tokens(expression: str) -> list[tuple[str, str]]:
    """Raises AssertionError for what PromQL does not know."""
    found, place = [], 0
    while place < len(expression):
        token = _TOKEN.match(expression, place)
        assert token, f"unreadable from {expression[place:]!r}"
        if token.lastgroup != "space":
            found.append((str(token.lastgroup), token[0]))
        place = token.end()
    return found


def asked_for(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression, with the labels it is chosen by; ("", labels) for labels to group by."""
    words = tokens(expression)
    place = 0
    while place < len(words):
        kind, word = words[place]
        following = words[place + 1][1] if place + 1 < len(words) else ""
        place += 1
        if kind != "word" or word in _OPERATORS:
            continue
        if word in _GROUPING:
            end = next(at for at in range(place, len(words)) if words[at][1] == ")")
            yield "", {text for kind_, text in words[place:end] if kind_ == "word"}
            place = end
        elif following == "(" or following in _GROUPING:
            continue  # a function, or an aggregation with `by` first
        elif following == "{":
            end = next(at for at in range(place, len(words)) if words[at][1] == "}")
            yield word, {text for kind_, text in words[place:end] if kind_ == "word"}
            place = end
        else:
            yield word, set()


def unknown(expression: str) -> list[str]:
    """What an expression asks for and nobody exports."""
    known = samples()
    found = list(asked_for(expression))
    wrong = [name for name, _ in found if name and name not in known]
    wrong += [f"{name}{{{label}}}" for name, labels in found if name in known for label in labels - known[name]]
    there = {label for name, _ in found if name in known for label in known[name]}
    return wrong + [f"by ({label})" for name, labels in found if not name for label in labels - there]
