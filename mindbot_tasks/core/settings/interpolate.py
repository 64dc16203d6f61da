"""`${NAME}` and `${NAME:-default}` in the configuration; `$${` stands for a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mindbot_tasks.core.settings.item import Item, walk
from mindbot_tasks.core.settings.problems import Problem
from mindbot_tasks.core.words import Sentence

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{[^}]*\}?")


class BadReference(ValueError):
    """`${` that is not followed by a variable; the argument is what was found."""


def expand(text: str, env: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """`text` with its variables filled in, and the names of those that are missing; a blank variable is missing.

    >>> expand("http://${HOST:-localhost}:${PORT}/$${x}", {"PORT": "80"})
    ('http://localhost:80/${x}', ())

    Raises BadReference. What a variable holds is not expanded again.
    """
    missing: list[str] = []

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match[1], match[2]
        if name is None:
            raise BadReference(match[0][:40])
        value = env.get(name, "")
        if value.strip():
            return value
        if default is None:
            missing.append(name)
            return ""
        return default

    return _REFERENCE.sub(fill, text), tuple(dict.fromkeys(missing))


def interpolate(root: Item, env: Mapping[str, str]) -> list[Problem]:
    """Fill in the variables of all texts below `root`, in place."""
    problems = []
    for _loc, item in walk(root):
        if not isinstance(item.value, str) or "${" not in item.value:
            continue
        try:
            value, missing = expand(item.value, env)
        except BadReference as exc:
            what = Sentence("settings.bad_reference", found=exc.args[0])
            problems.append(Problem(item.place, item.path, what, Sentence("settings.escape_dollar")))
            item.reference = True
            continue
        item.raw, item.value, item.missing = item.value, value, missing
        item.reference = True
    return problems
