"""How often Python looks for garbage in circles: seldom, and never among what a process keeps until its end."""

from __future__ import annotations

import gc

#: objects made (less those gone) between two looks; Python's own 700 means several looks for each message
_EVERY = 20_000


def settle() -> None:
    """Call it once, when everything is loaded: what exists now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_EVERY, 20, 20)
