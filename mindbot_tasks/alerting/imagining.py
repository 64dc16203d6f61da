"""Values that would make a condition true: what a drill lets the probes find. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mindbot_tasks.core.alert_metrics import METRICS
from mindbot_tasks.core.conditions import Comparison, Condition, Constant, Reading, Value, comparisons, judge

_OTHER_SIGN = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}


def values_for(condition: Condition) -> Mapping[str, Value] | None:
    """By metric; None where nothing simple makes it true, as with usual values that nobody knows.

    >>> from mindbot_tasks.core.condition_parser import parse
    >>> values_for(parse("dify_health_check_failed > 3"))
    {'dify_health_check_failed': 4.0}
    """
    found: dict[str, Value] = {}
    for comparison in comparisons(condition):
        imagined = _value_for(comparison)
        if imagined is not None:
            found[imagined[0]] = imagined[1]
    true = judge(condition, lambda reading: None if reading.function else found.get(reading.metric))
    return found if true else None


def _value_for(comparison: Comparison) -> tuple[str, Value] | None:
    left, sign, right = comparison.left, str(comparison.comparator), comparison.right
    if isinstance(left, Constant):
        left, sign, right = right, _OTHER_SIGN[sign], left
    if not isinstance(left, Reading) or not isinstance(right, Constant) or left.function:
        return None
    return left.metric, _beside(left.metric, sign, right.value)


def _beside(metric: str, sign: str, limit: Value) -> Value:
    if isinstance(limit, str):
        known = METRICS.get(metric)
        others = [state for state in (known.states if known else ()) if state != limit]
        return limit if sign == "==" or not others else others[0]
    step = 1.0 if METRICS.get(metric) is None or METRICS[metric].unit != "ratio" else 0.05
    return {">": limit + step, "<": limit - step, "!=": limit + step}.get(sign, limit)
