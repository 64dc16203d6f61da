"""How often Python looks for garbage in circles: seldom, and never among what a process keeps until its end."""

from __future__ import annotations

import gc

#: objects made (less those gone) between two looks; Python's own 700 means several looks for each message, and a sixth
#: of the time that loading 1,500 modules takes
_EVERY = 20_000
#: loading makes some 400,000 objects and next to no garbage; an end nevertheless, should nobody call `seldom` after it
_WHILE_LOADING = 1_000_000


def not_while_loading() -> None:
    """Until `seldom` or `settle`."""
    gc.set_threshold(_WHILE_LOADING, 20, 20)


def seldom() -> None:
    """From now on."""
    gc.set_threshold(_EVERY, 20, 20)


def settle() -> None:
    """Call it once, when everything is loaded: what exists now is not looked at again."""
    gc.collect()
    gc.freeze()
    seldom()
