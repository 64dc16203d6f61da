"""Words that mean much the same for the kind of a request, in both languages: what was learned of one helps the others.

The words stand in data/concepts.json, written by hand. None of them decides anything, the trained weights of the
concepts do. A change there changes what old versions see in a text: raise `features.VERSION` with it.
"""

from __future__ import annotations

from importlib import resources

import orjson


def concepts() -> dict[str, tuple[str, ...]]:
    """Word (lower case) -> the concepts that it stands for."""
    file = resources.files("mindbot_tasks.chat.learned").joinpath("data", "concepts.json")
    found: dict[str, tuple[str, ...]] = {}
    for name, words in orjson.loads(file.read_bytes()).items():
        for word in words.split():
            found[word] = (*found.get(word, ()), name)
    return found
