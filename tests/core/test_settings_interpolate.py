"""Variables in texts, for all texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.settings.interpolate import BadReference, expand

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)


@given(st.text().filter(lambda text: "${" not in text))
def test_text_without_a_reference_stays(text: str) -> None:
    assert expand(text, {}) == (text, ())


@given(st.text())
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert expand(text.replace("${", "$${"), {}) == (text, ())


@given(
    st.text().filter(lambda t: "$" not in t),
    NAMES,
    st.text(min_size=1).filter(str.strip),
    st.text().filter(lambda t: "$" not in t),
)
def test_a_variable_is_replaced_and_what_it_holds_is_left_alone(before: str, name: str, value: str, after: str) -> None:
    assert expand(f"{before}${{{name}}}{after}", {name: value}) == (before + value + after, ())


@given(NAMES, st.sampled_from(["", " ", "\t\n"]), st.text().filter(lambda text: "}" not in text))
def test_a_blank_variable_is_missing_and_takes_the_default(name: str, blank: str, default: str) -> None:
    assert expand(f"${{{name}}}", {name: blank})[1] == (name,)
    assert expand(f"${{{name}:-{default}}}", {name: blank}) == (default, ())


@given(st.text())
def test_any_text_expands_or_is_refused(text: str) -> None:
    try:
        expand(text, {})
    except BadReference as exc:
        assert exc.args[0].startswith("${")  # noqa: PT017  both outcomes are fine


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A-b}", "${A", "x${A:+b}"])
def test_what_looks_like_a_reference_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadReference):
        expand(text, {"A": "a"})
