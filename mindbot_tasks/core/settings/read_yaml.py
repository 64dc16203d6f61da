"""YAML text to items; the places of values come from the parser's own nodes."""

from __future__ import annotations

import re

import yaml

from mindbot_tasks.core.settings.item import Item, Scalar
from mindbot_tasks.core.settings.problems import Place, Problem
from mindbot_tasks.core.words import Sentence

MOST_VALUES = 100_000  # aliases can make a small file large
DEEPEST = 100  # and the parser dies, with the whole process, of some ten thousand brackets
_TAG = "tag:yaml.org,2002:"
_DECIMAL = re.compile(r"[-+]?[0-9][0-9_]*\Z")
_MERGE = _TAG + "merge"
_COLLECTIONS = (_TAG + "map", _TAG + "seq")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, source: str) -> tuple[Item, list[Problem]]:
    """The file as items. With problems the items are as complete as could be."""
    empty = Item({}, Place(source), "")
    try:
        if (place := _too_deep(text, source)) is not None:
            return empty, [Problem(place, "", Sentence("settings.too_deep", limit=DEEPEST))]
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        return empty, [_broken(exc, text, source)]
    except yaml.YAMLError as exc:  # a character that YAML forbids
        reason = getattr(exc, "reason", "") or type(exc).__name__
        line = text.count("\n", 0, getattr(exc, "position", 0) or 0) + 1
        return empty, [Problem(Place(source, line, 1), "", Sentence("settings.broken_yaml", problem=reason))]
    if node is None:
        return empty, []
    reader = _Reader(source)
    root = reader.item(node, "")
    if not isinstance(root.value, dict):
        if root.value is not None:
            reader.problems.append(Problem(root.place, "", Sentence("settings.not_a_mapping")))
        root = empty
    return root, reader.problems


def _too_deep(text: str, source: str) -> Place | None:
    """Where the nesting goes too far. Reading events needs no recursion, building nodes does."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                mark = event.start_mark
                return Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _broken(exc: yaml.MarkedYAMLError, text: str, source: str) -> Problem:
    # never str(exc): it quotes the line, and the line may hold a secret
    mark = exc.problem_mark or exc.context_mark
    place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)
    words = " ".join(part for part in (exc.context, exc.problem) if part)
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    hint = None
    if "escape" in words:
        hint = Sentence("settings.use_single_quotes")
    elif line[: len(line) - len(line.lstrip())].count("\t"):
        hint = Sentence("settings.no_tabs")
    return Problem(place, "", Sentence("settings.broken_yaml", problem=words), hint)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._values = 0
        self._scalars = yaml.constructor.SafeConstructor()

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.source, node.start_mark.line + 1, node.start_mark.column + 1)

    def _problem(self, node: yaml.Node, path: str, what: Sentence, hint: Sentence | None = None) -> None:
        self.problems.append(Problem(self._place(node), path, what, hint))

    def item(self, node: yaml.Node, path: str) -> Item:
        place = self._place(node)
        self._values += 1
        if self._values == MOST_VALUES:
            self._problem(node, path, Sentence("settings.too_large", limit=MOST_VALUES))
        if self._values >= MOST_VALUES:
            return Item(None, place, path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._problem(node, path, Sentence("settings.refers_to_itself"))
            return Item(None, place, path)
        if len(self._open) == DEEPEST:  # aliases within aliases
            self._problem(node, path, Sentence("settings.too_deep", limit=DEEPEST))
            return Item(None, place, path)
        if node.tag not in _COLLECTIONS:
            self._unknown_tag(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return Item([self.item(child, f"{path}[{n}]") for n, child in enumerate(node.value)], place, path)
            return Item(self._mapping(node, path), place, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: str) -> dict[str, Item]:
        own: dict[str, Item] = {}
        merged: dict[str, Item] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for item in self._merged(value_node, path):
                    merged = item | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, Sentence("settings.key_not_text"))
                continue
            key: str = key_node.value  # as written: YAML reads `on:` and `no:` as booleans
            child_path = f"{path}.{key}" if path else key
            if key in own:
                self._problem(key_node, child_path, Sentence("settings.duplicate_key", line=lines[key]))
                continue
            lines[key] = key_node.start_mark.line + 1
            own[key] = self.item(value_node, child_path)
            own[key].key = self._place(key_node)
        return merged | own

    def _merged(self, node: yaml.Node, path: str) -> list[dict[str, Item]]:
        """What `<<: *alias` or `<<: [*one, *two]` brings in; earlier ones win."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        items = [self.item(each, path) for each in nodes]
        return [item.value for item in items if isinstance(item.value, dict)]

    def _unknown_tag(self, node: yaml.Node, path: str) -> None:
        self._problem(node, path, Sentence("settings.unknown_tag", tag=node.tag.replace(_TAG, "!!")))

    def _scalar(self, node: yaml.ScalarNode, path: str) -> Item:
        place = self._place(node)
        tag = node.tag.removeprefix(_TAG)
        if tag not in ("null", "bool", "int", "float", "str", "timestamp"):
            self._unknown_tag(node, path)
            return Item(node.value, place, path)
        # 12:30 is a base-60 number and 0755 an octal one in YAML 1.1; nobody means that here
        if tag in ("str", "timestamp") or (tag == "int" and not _DECIMAL.match(node.value)):
            return Item(node.value, place, path)
        try:
            value: Scalar = int(node.value) if tag == "int" else self._scalars.construct_object(node)
        except ValueError:  # `!!float soon`
            value = node.value
        return Item(value, place, path, raw=node.value)
