"""From what a condition says now to whether it fires: `for`, hysteresis and missing data. Pure."""

from __future__ import annotations

from dataclasses import replace

from mindbot_tasks.model.alert import Track


def advance(track: Track, verdict: bool | None, *, now: int, hold_ms: float, keep_ms: float) -> Track:
    """What follows from one look. None, "no data", leaves everything as it is.

    >>> advance(Track(), True, now=5, hold_ms=0, keep_ms=0).phase
    'firing'
    """
    if verdict is None:
        return track
    if track.phase == "firing":
        if verdict:
            return track if track.false_since is None else replace(track, false_since=None)
        since = now if track.false_since is None else track.false_since
        return Track() if now - since >= keep_ms else replace(track, false_since=since)
    if not verdict:
        return Track()
    since = track.since if track.phase == "pending" else now
    return Track("firing", now) if now - since >= hold_ms else Track("pending", since)


def after_a_gap(track: Track, *, now: int) -> Track:
    """Nobody judged for a while: what was counted before proves nothing now."""
    if track.phase == "pending":
        return replace(track, since=now)
    return track if track.false_since is None else replace(track, false_since=now)
