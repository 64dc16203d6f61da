"""A configuration before it is typed: every value knows where it stands and what it was called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mindbot_tasks.core.settings.problems import Place

Scalar: TypeAlias = str | int | float | bool | None
Loc: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Item:
    value: Scalar | dict[str, Item] | list[Item]
    place: Place
    path: str  #: dotted, as written
    raw: str | None = None  #: the text in the file, where the value differs from it
    reference: bool = False  #: the value came out of a ${VARIABLE}
    missing: tuple[str, ...] = ()  #: variables without which there is no value
    key: Place | None = None  #: where its key stands

    @property
    def begins(self) -> Place:
        """Where the key stands, else the value: for what is said about the entry as a whole."""
        return self.key or self.place

    def children(self) -> Iterator[tuple[str | int, Item]]:
        if isinstance(self.value, dict):
            yield from self.value.items()
        elif isinstance(self.value, list):
            yield from enumerate(self.value)

    def child_path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def plain(item: Item) -> object:
    """The values alone; keys whose variable is missing are left out."""
    if isinstance(item.value, dict):
        return {key: plain(child) for key, child in item.value.items() if not child.missing}
    if isinstance(item.value, list):
        return [plain(child) for child in item.value if not child.missing]
    return item.value


def walk(item: Item, loc: Loc = ()) -> Iterator[tuple[Loc, Item]]:
    """Every value with its location, from the root down."""
    yield loc, item
    for key, child in item.children():
        yield from walk(child, (*loc, key))


def find(root: Item, loc: Loc) -> tuple[Item, Loc]:
    """The deepest value on the way to `loc`, and the rest of the way."""
    item = root
    for depth, key in enumerate(loc):
        below = dict(item.children()).get(key)
        if below is None:
            return item, loc[depth:]
        item = below
    return item, ()
