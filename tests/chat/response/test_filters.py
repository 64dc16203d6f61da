"""Personal data, banned words and unsafe links: what is found, what is left alone, and that no beginning shows more."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mindbot_tasks.chat.response.banned import BannedWords
from mindbot_tasks.chat.response.links import LinkFilter, is_private
from mindbot_tasks.chat.response.pii import PiiFilter
from mindbot_tasks.core.settings import PiiKind, PiiSettings

ALL: list[PiiKind] = ["email", "phone", "id_card", "bank_card", "ip"]
MASK = PiiFilter(PiiSettings(kinds=ALL), "key")
REDACT = PiiFilter(PiiSettings(kinds=ALL, action="redact"), "key")
HASH = PiiFilter(PiiSettings(kinds=ALL, action="hash"), "key")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to ada.b+c@example.co.uk, please", "write to [EMAIL], please"),
        ("请联系13800138000谢谢", "请联系[PHONE]谢谢"),
        ("电话：＋86 138-0013-8000", "电话：[PHONE]"),
        ("１３８００１３８０００", "[PHONE]"),
        ("tel13800138000x", "tel[PHONE]x"),
        ("call +49 30 1234567 now", "call [PHONE] now"),
        ("call (415) 555-2671", "call [PHONE]"),
        ("总机 010-62345678", "总机 [PHONE]"),
        ("身份证11010519491231002X。", "身份证[ID_CARD]。"),
        ("card 4111 1111 1111 1111", "card [BANK_CARD]"),
        ("卡号6222020200112230006", "卡号6222020200112230006"),  # the checksum is wrong
        ("server 192.168.1.20 is down", "server [IP] is down"),
        ("at 2001:db8::1 too", "at [IP] too"),
    ],
)
def test_what_is_personal(text: str, redacted: str) -> None:
    assert REDACT.clean(text)[0] == redacted


@pytest.mark.parametrize(
    "text",
    [
        "order 138001380001234567890123",
        "110105194912310021",  # the check digit is wrong
        "4111 1111 1111 1112",
        "version 1.2.3.4.5",
        "999.1.1.1",
        "at 12:30:45",
        "std::vector",
        "a@b",
        "2026-11-21",
        "the year 2026, 3.14159",
    ],
)
def test_what_is_not(text: str) -> None:
    assert REDACT.clean(text) == (text, 0)


def test_how_it_is_replaced() -> None:
    assert MASK.clean("13800138000")[0] == "*******8000"
    assert MASK.clean("ada@example.com")[0] == "a***@example.com"
    assert MASK.clean("4111-1111-1111-1111")[0] == "****-****-****-1111"
    one, other = HASH.clean("13800138000")[0], HASH.clean("138 0013 8000")[0]
    assert one == other
    assert one != HASH.clean("13800138001")[0]
    assert PiiFilter(PiiSettings(kinds=ALL, action="hash"), "another key").clean("13800138000")[0] != one


WORDS = BannedWords(["ass", "badword", "foo bar", "敏感词", "法轮", "ABC"])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("a BadWord here", "a ******* here"),
        ("ｂａｄｗｏｒｄ", "*******"),
        ("bad\u200bword", "********"),
        ("这是敏感词吗", "这是***吗"),
        ("foo bar", "*******"),
        ("class and ass", "class and ***"),
        ("assume", "assume"),
        ("abcabc", "abcabc"),
        ("中abc文", "中***文"),
    ],
)
def test_banned_words(text: str, masked: str) -> None:
    assert WORDS.mask(text)[0] == masked


def test_an_empty_list_finds_nothing() -> None:
    assert not BannedWords(["", "  "])
    assert BannedWords([]).find("anything") == []


LINKS = LinkFilter()
STRICT = LinkFilter(private=True, image_hosts=("example.com",))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("see [docs](https://example.com/a_(b)) now", None),
        ("[x](javascript:alert(1)) y", "x y"),
        ("[x]( JaVaScRiPt:alert(1) )", "x"),
        ("[x](java\tscript:alert(1))", "x"),
        ("[x](java&#115;cript:alert(1))", "x"),
        ("[x](javascript%3Aalert(1))", "x"),
        ("[x](<javascript:alert(1)>)", "x"),
        ("[a [b] c](javascript:x)", "a [b] c"),
        ("[a [b [c [d]]]](javascript:x)", "a [b [c [d]]]"),
        (r"[a\]b](javascript:x)", r"a\]b"),
        ("![p](data:image/png;base64,AAAA)", "p"),
        ("[![p](data:x)](https://example.com)", "[p](https://example.com)"),
        ("[a]\n\n[a]: javascript:x\nmore", "[a]\n\nmore"),
        ("[a]: https://example.com\n", None),
        ("<script>x</script>", "x"),
        ('<a href="javascript:x">y</a>', "y</a>"),
        ('<a href="https://example.com">y</a>', None),
        ("<img src=x onerror=alert(1)>", ""),
        ("<javascript:x>", ""),
        ("<https://example.com>", None),
        ("if a < b and c > d: x[0](1)", None),
        ("[mail](mailto:a@example.com) [call](tel:123) [chat](dingtalk://x)", None),
        ("[in](http://192.168.0.1/) http://localhost:8000/x", None),
    ],
)
def test_unsafe_links_lose_their_address(text: str, clean: str | None) -> None:
    assert LINKS.clean(text)[0] == (text if clean is None else clean)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("[in](http://192.168.0.1/)", "in"),
        ("[in](//10.0.0.1/)", "in"),
        ("[in](http://2130706433/)", "in"),
        ("[in](http://[::1]/)", "in"),
        ("[wiki](http://wiki/page)", "wiki"),
        ("at http://localhost:8000/x now", "at … now"),
        ("at http://[::1]:8000/x now", "at … now"),
        ("at http://[2001:4860:4860::8888]/x now", "at http://[2001:4860:4860::8888]/x now"),
        ("![p](https://cdn.example.com/p.png)", "![p](https://cdn.example.com/p.png)"),
        ("![p](https://evil.net/p.png?q=secret)", "[p](https://evil.net/p.png?q=secret)"),
        ("![](https://evil.net/p.png)", "[evil.net](https://evil.net/p.png)"),
        ("![p](https://notexample.com/p.png)", "[p](https://notexample.com/p.png)"),
        ('<img src="https://evil.net/x">', ""),
    ],
)
def test_private_networks_and_foreign_pictures(text: str, clean: str) -> None:
    assert STRICT.clean(text)[0] == clean


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.1.2.3", "printer.local", "intra", "127.1", "169.254.1.1"]
)
def test_private_hosts(host: str) -> None:
    assert is_private(host)
    assert not is_private("example.com")
    assert not is_private("8.8.8.8")


_SNIPPETS = st.lists(
    st.sampled_from(
        ["13800138000", "138 0013", " 8000", "ada", "@exam", "ple.com", "4111 1111 ", "1111 1111", "192.168", ".1.1",
         "你好", "，", "敏感", "词", "法", "轮", "ass", "ume", "bad", "word", "foo ", "bar", " ", "\n", "\n\n", "[x]",
         "(java", "script:", "alert(1))", "![", "](", "data:", ")", "[", "]", ":", "<img ", "src=x", ">", "<", "http://",
         "localhost", "/p", "\u200b", "。", "!", "https://evil.net/a"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("filter_", [MASK, REDACT, LINKS, STRICT], ids=["mask", "redact", "links", "strict"])
@given(text=_SNIPPETS)
@example(text="[x](javascript:alert(1)) and ![p](data:x)")
@example(text="138 0013 8000 你好")
def test_every_beginning_shows_a_beginning_of_the_whole(filter_: PiiFilter | LinkFilter, text: str) -> None:
    whole = filter_.clean(text)[0]
    for end in range(len(text) + 1):
        grown = text[:end]
        shown = filter_.clean(grown[: filter_.undecided(grown)])[0]
        assert whole.startswith(shown), (grown, shown, whole)


@given(text=_SNIPPETS)
def test_no_beginning_shows_a_banned_word(text: str) -> None:
    whole = WORDS.mask(text)[0]
    for end in range(len(text) + 1):
        grown = text[:end]
        shown = WORDS.mask(grown[: WORDS.undecided(grown)])[0]
        assert whole.startswith(shown), (grown, shown, whole)


@given(text=st.text(max_size=80))
def test_any_text_is_taken(text: str) -> None:
    for each in (MASK, LINKS, STRICT):
        clean, count = each.clean(text)
        assert count or clean == text
        assert 0 <= each.undecided(text) <= len(text)
    assert len(WORDS.mask(text)[0]) == len(text)
