"""Figures in InfluxDB's line protocol, named as Telegraf's Prometheus input names them. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.metrics_core import Metric

_UNUSABLE = re.compile(r"[\\\s\x00-\x1f]+")  # a backslash would swallow what follows, a line ends the point
_ESCAPED = str.maketrans({",": r"\,", "=": r"\="})


def encode(families: Iterable[Metric], tags: Mapping[str, str], at_ms: int) -> bytes:
    """One line for each set of labels: `name,label=value gauge=1 at`; a histogram is one line with all its buckets."""
    lines = [
        f"{name}{_tags({**tags, **labels})} {fields} {at_ms}\n"
        for family in families
        for name, labels, fields in _points(family)
    ]
    return "".join(lines).encode(errors="replace")


def _points(family: Metric) -> Iterator[tuple[str, Mapping[str, str], str]]:
    if family.type != "histogram":
        field = family.type if family.type in ("counter", "gauge") else "value"
        for sample in family.samples:
            if math.isfinite(sample.value) and not sample.name.endswith("_created"):
                yield sample.name, sample.labels, f"{field}={float(sample.value)!r}"
        return
    points: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        part = sample.name.removeprefix(family.name + "_")
        key = sample.labels.get("le", "") if part == "bucket" else part
        if part in ("bucket", "count", "sum") and math.isfinite(sample.value):
            points.setdefault(tuple(sorted(labels.items())), []).append(f"{key}={float(sample.value)!r}")
    for of, fields in points.items():
        yield family.name, dict(of), ",".join(fields)


def _tags(labels: Mapping[str, str]) -> str:
    """An empty tag is an error there, so it is left out."""
    found = [f",{_escaped(name)}={_escaped(value)}" for name, value in sorted(labels.items()) if name and value]
    return "".join(found)


def _escaped(text: str) -> str:
    return _UNUSABLE.sub("_", text).translate(_ESCAPED)
