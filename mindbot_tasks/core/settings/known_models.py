"""What `models.yaml` knows: vendors with their addresses, their models, what those cost, and which are gone."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# snapshots of a model share its facts: -2026-04-23, -20260423, -0613, -latest, -001
_SNAPSHOT = re.compile(r"(?:-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{6}|-\d{3,4}|-latest)\Z")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """What a call costs."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


@dataclass(frozen=True, slots=True)
class Known:
    """A model of a vendor."""

    price: Price | None = None  #: None: not known
    context_tokens: int = 0  #: 0: not known
    takes_temperature: bool = True
    sees: bool | None = None  #: whether it takes pictures; None: as its name suggests


@dataclass(frozen=True, slots=True)
class Gone:
    """A model that is not, or soon not, served any more."""

    instead: str
    on: date | None = None  #: None: some day in the past

    def by(self, today: date) -> bool:
        return self.on is None or self.on <= today

    def within(self, today: date, days: int) -> bool:
        """Whether it is gone, or will be in so many days."""
        return self.on is None or (self.on - today).days <= days


@dataclass(frozen=True, slots=True)
class Vendor:
    name: str
    base_url: str = ""  #: of its OpenAI-compatible API; "": it has a protocol of its own
    hosts: frozenset[str] = frozenset()
    max_tokens_field: str = "max_tokens"  #: of OpenAI's protocol
    thinking: str = ""  #: how thinking is switched: "object" ({"type": ...}), "flag" (enable_thinking); "": it is not
    models: Mapping[str, Known] = field(default_factory=dict)
    retired: Mapping[str, Gone] = field(default_factory=dict)

    def known(self, model: str) -> Known | None:
        """Facts about a model or the one it is a snapshot of."""
        found = self.models.get(model)
        if found is None and (plain := _SNAPSHOT.sub("", model)) != model:
            found = self.models.get(plain)
        return found

    def gone(self, model: str) -> Gone | None:
        """Whether it is, or is going to be, retired; the longest name or start of a name decides."""
        named = model.lower()
        fitting = [name for name in self.retired if fnmatch.fnmatchcase(named, name)]
        if not fitting:
            return None
        return self.retired[max(fitting, key=lambda name: (name == named, len(name)))]


@functools.cache
def vendors() -> Mapping[str, Vendor]:
    """By name and by every other name."""
    data = yaml.load(files(__package__).joinpath("models.yaml").read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe one
    found: dict[str, Vendor] = {}
    for name, each in data["vendors"].items():
        rate = data["usd_per_cny"] if each.get("currency") == "CNY" else 1.0
        base_url = each.get("base_url", "")
        vendor = Vendor(
            name,
            base_url,
            frozenset({*each.get("hosts", ()), *([str(urlsplit(base_url).hostname)] if base_url else ())}),
            each.get("max_tokens_field", "max_tokens"),
            each.get("thinking", ""),
            {model: _known(facts, rate) for model, facts in (each.get("models") or {}).items()},
            {model: Gone(facts["use"], facts.get("day")) for model, facts in (each.get("retired") or {}).items()},
        )
        for key in (name, *each.get("also", ())):
            found[key] = vendor
    return found


def _known(facts: Mapping[str, Any], rate: float) -> Known:
    later = facts.get("later")
    told = later if later is not None and later["day"] <= datetime.now(UTC).date() else facts
    price = Price(told["in"] * rate, told["out"] * rate) if {"in", "out"} <= told.keys() else None
    return Known(price, facts.get("context", 0), facts.get("temperature", True), facts.get("sees"))


@functools.cache
def vendor_of(kind: str, base_url: str) -> Vendor | None:
    """Whose models these are: by the address if there is one, else by the provider's type or name.

    None: a server of somebody's own, which may serve what it likes.

    >>> vendor_of("openai", "https://api.deepseek.com").name, vendor_of("openai", "http://10.0.0.1:8000/v1")
    ('deepseek', None)
    """
    if base_url:
        host = (urlsplit(base_url).hostname or "").lower()
        return next((vendor for vendor in vendors().values() if host in vendor.hosts), None)
    return vendors().get(kind.lower())
