"""Figures as StatsD lines: what was counted since the last time, and gauges as they are."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

#: fits into one Ethernet frame, also over a VPN
DATAGRAM_BYTES = 1400
_QUANTILES = (0.5, 0.95)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.\-]+")
_NOT_IN_TAG = re.compile(r"[|,#@\s]+")

Labels = tuple[tuple[str, str], ...]


class Encoder:
    """Remembers how far the counters were, for StatsD wants differences."""

    def __init__(self, prefix: str, tags: Mapping[str, str], *, tagged: bool = True) -> None:
        """tagged: labels as DogStatsD tags; else as parts of the name, and `tags` are left out."""
        self._prefix = prefix
        self._tags = dict(tags)
        self._tagged = tagged
        self._before: dict[tuple[str, Labels], float] = {}
        self._began = False

    def lines(self, families: Iterable[Metric], *, more: Mapping[str, str] | None = None) -> list[str]:
        """What to send now. The first time counters only take their place: what was counted before is not news."""
        found: list[str] = []
        for family in families:
            if family.type == "counter":
                found += self._counter(family, more)
            elif family.type == "histogram":
                found += self._histogram(family, more)
            elif family.type == "gauge":
                found += [
                    self._line(sample.name, sample.labels, max(0.0, sample.value), "g", more)
                    for sample in family.samples
                    if math.isfinite(sample.value)
                ]
        return found

    def begin(self) -> None:
        """From now on everything that counters grow by is news, also that of a counter never seen."""
        self._began = True

    def _counter(self, family: Metric, more: Mapping[str, str] | None) -> Iterator[str]:
        for sample in family.samples:
            if not sample.name.endswith("_created") and (grown := self._grown(sample)):
                yield self._line(sample.name.removesuffix("_total"), sample.labels, grown, "c", more)

    def _histogram(self, family: Metric, more: Mapping[str, str] | None) -> Iterator[str]:
        """How many, their sum, and estimates of what most of them took since the last time."""
        buckets: dict[Labels, list[tuple[float, float]]] = {}
        for sample in family.samples:
            part = sample.name.removeprefix(family.name + "_")
            if part == "bucket":
                limit = sample.labels["le"]
                labels = {name: value for name, value in sample.labels.items() if name != "le"}
                grown = self._grown(sample)
                buckets.setdefault(tuple(sorted(labels.items())), []).append((float(limit), grown))
            elif part in ("count", "sum") and (grown := self._grown(sample)):
                yield self._line(f"{family.name}.{part}", sample.labels, grown, "c", more)
        for of, counts in buckets.items():
            for quantile in _QUANTILES:
                value = quantile_of(sorted(counts), quantile)
                if value is not None:
                    yield self._line(f"{family.name}.p{quantile * 100:.0f}", dict(of), value, "g", more)

    def _grown(self, sample: Sample) -> float:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        before = self._before.get(key)
        self._before[key] = sample.value
        if not math.isfinite(sample.value) or (before is None and not self._began):
            return 0.0
        return sample.value - before if before is not None and before <= sample.value else sample.value

    def _line(
        self, name: str, labels: Mapping[str, str], value: float, kind: str, more: Mapping[str, str] | None
    ) -> str:
        name = self._prefix + name.removeprefix("mindbot_")
        if not self._tagged:
            parts = [_NOT_IN_NAME.sub("_", each).replace(".", "_") for _, each in sorted(labels.items()) if each]
            return f"{'.'.join([name, *parts])}:{value:.10g}|{kind}"
        tags = [
            f"{each}:{_NOT_IN_TAG.sub('_', of)}" for each, of in {**self._tags, **(more or {}), **labels}.items() if of
        ]
        return f"{name}:{value:.10g}|{kind}" + (f"|#{','.join(tags)}" if tags else "")


def quantile_of(buckets: Sequence[tuple[float, float]], quantile: float) -> float | None:
    """As Prometheus estimates it: straight within the bucket; None when nothing happened.

    >>> quantile_of([(1.0, 0), (2.0, 10), (float("inf"), 10)], 0.5)
    1.5
    """
    total = buckets[-1][1] if buckets else 0.0
    if total <= 0:
        return None
    wanted = quantile * total
    for (low, before), (high, upto) in pairwise([(0.0, 0.0), *buckets]):
        if upto >= wanted:
            return (
                low if math.isinf(high) or upto <= before else low + (high - low) * (wanted - before) / (upto - before)
            )
    return None


def datagrams(lines: Iterable[str]) -> Iterator[bytes]:
    """Lines put together as far as they fit; one that is too long alone is left out."""
    packed: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode()
        if len(data) > DATAGRAM_BYTES:
            continue
        if packed and size + len(data) + 1 > DATAGRAM_BYTES:
            yield b"\n".join(packed)
            packed, size = [], 0
        packed.append(data)
        size += len(data) + 1
    if packed:
        yield b"\n".join(packed)
