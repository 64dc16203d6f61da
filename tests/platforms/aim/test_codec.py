"""The frames of OSCAR: vectors, and any bytes at all."""

from __future__ import annotations

import html
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.errors import PayloadInvalid, Rejected, Throttled, Unavailable
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.aim import login, markup, messages, names, rates
from mindbot_tasks.platforms.aim.errors import LoginRefused, of_message
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.payload import cookie_of, to_message
from mindbot_tasks.platforms.aim.wire import (
    Flap,
    FlapParser,
    Snac,
    decode_snac,
    decode_tlvs,
    encode_tlvs,
)


def user(name: str, *values: tuple[int, bytes]) -> bytes:
    return names.encode(name) + b"\x00\x00" + len(values).to_bytes(2, "big") + encode_tlvs(values)


def message_body(fragments: bytes, *more: tuple[int, bytes], channel: int = 1, name: str = "Alice B") -> bytes:
    return b"cookie12" + channel.to_bytes(2, "big") + user(name, (1, b"\0\0")) + encode_tlvs([(2, fragments), *more])


def text_fragment(charset: int, data: bytes) -> bytes:
    return b"\x01\x01" + (4 + len(data)).to_bytes(2, "big") + charset.to_bytes(2, "big") + b"\0\0" + data


def read(body: bytes) -> Incoming:
    message = messages.incoming(body)
    assert message is not None
    return message


class TestVectors:
    def test_the_servers_hello(self) -> None:
        assert Flap(1, 0, login.HELLO).encode().hex() == "2a010000000400000001"

    def test_the_request_for_a_key(self) -> None:
        snac = login.ask_key("mindbot")
        frame = Flap(2, 1, Snac(snac.family, snac.subtype, snac.body, 1).encode())
        assert frame.encode().hex() == (
            "2a020001001d00170006000000000001000100076d696e64626f74004b0000005a0000"
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("strong", "digest"),
        [(False, "80112843ab82213fbc4f99982fb0e666"), (True, "852bb5323aa3aa0f3f6cd0a527d60374")],
    )
    def test_the_digests(self, strong: bool, digest: str) -> None:
        assert login.digest(b"4242424242", "welcome1", strong=strong).hex() == digest

    def test_a_message(self) -> None:
        body = messages.outgoing("alice", "hello", b"12345678")
        expected = (
            "2a0200090034000400060000000000073132333435363738000105616c696365000200120501000101010100090000000068656c6c6f"
            "00030000"
        )
        # and, beyond the sample, the wish to keep it for somebody who is away
        frame = Flap(2, 9, Snac(4, 6, body[:-4], 7).encode()).encode()
        assert frame.hex() == expected
        assert body.endswith(bytes.fromhex("00060000"))

    def test_chinese_goes_as_ucs2(self) -> None:
        body = messages.outgoing("alice", "你好", b"12345678")
        assert bytes.fromhex("00020011050100010101010008000200004f60597d") in body


class TestFrames:
    @given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 40)))
    def test_any_bytes_are_frames_or_payload_invalid_however_they_are_cut(self, data: bytes, cuts: list[int]) -> None:
        parser = FlapParser()
        try:
            for size in [*cuts, len(data)]:
                for frame in parser.feed(data[:size]):
                    _decode_everything(frame.payload)
                data = data[size:]
            parser.end()
        except PayloadInvalid:
            return

    @given(
        frames=st.lists(st.builds(Flap, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=40))),
        size=st.integers(1, 9),
    )
    def test_frames_come_out_as_they_went_in_however_they_are_cut(self, frames: list[Flap], size: int) -> None:
        data = b"".join(frame.encode() for frame in frames)
        parser = FlapParser()
        came = [frame for at in range(0, len(data), size) for frame in parser.feed(data[at : at + size])]
        assert came == frames

    def test_four_bytes_at_the_end_are_a_sign_off(self) -> None:
        parser = FlapParser()
        assert list(parser.feed(b"\x2a\x04\x00\x07")) == []
        assert parser.end() == Flap(4, 7)

    def test_an_end_in_the_middle_of_another_frame_is_none(self) -> None:
        parser = FlapParser()
        assert list(parser.feed(b"\x2a\x02\x00\x07\x00")) == []
        assert parser.end() is None

    def test_the_extra_block_is_left_out(self) -> None:
        payload = bytes.fromhex("00010003800000000001") + b"\x00\x04abcd" + b"rest"
        assert decode_snac(payload).body == b"rest"

    @given(st.binary(max_size=200))
    def test_any_bytes_are_values_or_payload_invalid(self, data: bytes) -> None:
        _decode_everything(data)

    @given(st.dictionaries(st.integers(0, 65535), st.binary(max_size=20)))
    def test_values_come_out_as_they_went_in(self, values: dict[int, bytes]) -> None:
        assert decode_tlvs(encode_tlvs(values.items())) == values


def _decode_everything(data: bytes) -> None:
    decoders: list[Callable[[bytes], object]] = [
        decode_snac, decode_tlvs, messages.incoming, messages.read_error, messages.read_missed,
        rates.read_table, rates.read_change, login.read_answer, login.read_key,
    ]  # fmt: skip
    for decode in decoders:
        try:
            decode(data)
        except (PayloadInvalid, LoginRefused):
            continue


class TestMessagesIn:
    @pytest.mark.parametrize(
        ("charset", "data", "text"),
        [
            (0, b"hello", "hello"),
            (0, "grüß".encode(), "grüß"),  # says ASCII, is UTF-8
            (0, b"gr\xfc\xdf", "grüß"),
            (2, "你好😀".encode("utf-16-be"), "你好😀"),
            (2, "你好".encode("utf-16-be") + b"\x00", "你好"),
            (3, b"it\x92s", "it’s"),
            (3, b"\x81", "\x81"),
            (77, b"hm", "hm"),
        ],
    )
    def test_charsets(self, charset: int, data: bytes, text: str) -> None:
        assert read(message_body(text_fragment(charset, data))).text == text

    def test_all_text_fragments_are_joined_and_others_left_alone(self) -> None:
        fragments = b"\x05\x01\x00\x01\x01" + text_fragment(0, b"a") + text_fragment(2, b"\x00b")
        message = read(message_body(fragments, (0x0B, b""), (0x99, b"??")))
        assert (message.sender, message.cookie, message.text) == ("Alice B", b"cookie12", "ab")
        assert not message.automatic

    def test_away_messages_and_stored_ones_say_so(self) -> None:
        message = read(message_body(text_fragment(0, b"x"), (4, b""), (0x16, (1700000000).to_bytes(4, "big"))))
        assert (message.automatic, message.sent_at_s) == (True, 1700000000)

    def test_files_and_chats_are_no_messages(self) -> None:
        assert messages.incoming(message_body(text_fragment(0, b"x"), channel=2)) is None

    def test_our_own_words_are_not_for_us(self) -> None:
        assert to_message(Incoming("Mind Bot", b"12345678", "x"), bot="default", own_name="mindbot") is None

    def test_an_away_message_is_recorded_and_never_answered(self) -> None:
        message = to_message(Incoming("a", b"12345678", "x", automatic=True), bot="default", own_name="b")
        assert message is not None
        assert message.addressed is False

    @given(
        name=st.text(min_size=1, max_size=300).filter(names.normal), text=st.text(st.characters(), max_size=50),
        cookie=st.binary(min_size=8, max_size=8), at=st.none() | st.integers(0, 2**32 - 1),
    )  # fmt: skip
    def test_whatever_comes_can_be_stored(self, name: str, text: str, cookie: bytes, at: int | None) -> None:
        message = to_message(Incoming(name, cookie, text, sent_at_s=at), bot="default", own_name="somebody else")
        assert message is not None
        assert 0 < len(message.external_id) <= 255
        assert 0 < len(message.sender_id) <= 255
        for value in (message.external_id, message.sender_id, message.sender_name, message.text):
            assert "\x00" not in value
            value.encode()


class TestHtml:
    @pytest.mark.parametrize(
        ("said", "words"),
        [
            ("a < b && c > d", "a < b && c > d"),
            ("#include <stdio.h> &amp;", "#include <stdio.h> &amp;"),
            ('<HTML><BODY BGCOLOR="#ffffff"><FONT FACE="Arial">hi &amp; bye<BR>x</FONT></BODY></HTML>', "hi & bye\nx"),
            ("<html>  many \n blanks </html>", "many blanks"),
            ("<P>one</P><p>two</p>", "one\ntwo"),
            ('<A HREF="https://example.org/?a=1&amp;b=2">here</A>', "here (https://example.org/?a=1&b=2)"),
            ("<a href=http://example.org>http://example.org</a>", "http://example.org"),
            ("<b>2 &lt; 3</b> &nosuch; &#x4f60;&#22909;", "2 < 3 &nosuch; 你好"),
            ("<HTML></HTML>", ""),
        ],
    )
    def test_comes_in_as_words(self, said: str, words: str) -> None:
        assert markup.to_text(said) == words

    @given(st.text(max_size=100))
    def test_what_goes_out_comes_in_as_it_was(self, text: str) -> None:
        cleaned = " ".join(text.replace("\x00", "\ufffd").split())
        assert " ".join(markup.to_text(markup.to_html(cleaned)).split()) == cleaned

    @pytest.mark.parametrize("said", ["<a href=" * 8000, "<a href=x>" * 6000, "<b " * 20000, "<" * 65000, "&" * 65000])
    def test_hostile_html_costs_little(self, said: str) -> None:
        began_at_s = time.thread_time()  # the processor's: others may have it meanwhile
        markup.to_text("<b>" + said)
        assert time.thread_time() - began_at_s < 30


class TestAnswers:
    @pytest.mark.parametrize(
        ("markdown", "words"),
        [
            ("# Title\n\n**bold** and *slanted* and `code`", "Title\n\nbold and slanted and code"),
            ("see [the page](https://example.org)", "see the page (https://example.org)"),
            ("call `f(*a, **k) * **x**` in __init__", "call f(*a, **k) * **x** in __init__"),
            ("2 * 3 * 4 and a_b_c and **", "2 * 3 * 4 and a_b_c and **"),
            ("```python\nx = **y**\n```\nend", "x = **y**\n\nend"),
        ],
    )
    def test_lose_the_marks_of_markdown(self, markdown: str, words: str) -> None:
        assert [part.text for part in markup.render(Answer(markdown, provider="test"))] == [words]

    @given(text=st.text(st.characters(codec="utf-8"), max_size=60), times=st.integers(1, 120))
    def test_come_in_pieces_that_clients_show(self, text: str, times: int) -> None:
        for part in markup.render(Answer(text * times, provider="test")):
            encoded = messages.encode_text(markup.to_html(part.text))
            assert len(encoded) <= 900 + 4 + 2 * len(markup.BEGIN + markup.END)
            assert part.text.strip()

    @pytest.mark.parametrize(("text", "notice"), [("word " * 3000, "too long"), ("字" * 9000, "过长")])
    def test_do_not_use_up_the_account_of_all(self, text: str, notice: str) -> None:
        pieces = [part.text for part in markup.render(Answer(text, provider="test"))]
        assert len(pieces) == markup.MAX_PIECES
        assert text.startswith(pieces[0])
        assert notice in pieces[-1]
        assert all(len(messages.encode_text(markup.to_html(piece))) <= 900 + 100 for piece in pieces)

    @pytest.mark.parametrize("text", ["<&>" * 500, "😀" * 900, "👩‍👩‍👧‍👦" * 200, "é" * 2000, "\n".join("abc" * 400)])
    def test_are_cut_between_characters_and_never_inside_an_entity(self, text: str) -> None:
        pieces = [part.text for part in markup.render(Answer(text, provider="test"))]
        assert len(pieces) > 1
        assert "".join("".join(pieces).split()) == "".join(text.split())
        for piece in pieces:
            piece.encode("utf-16-be")
            assert html.unescape(html.escape(piece)) == piece
        if text.startswith("👩"):
            assert all(piece.startswith("👩") and piece.endswith("👦") for piece in pieces)

    def test_name_what_cannot_be_sent(self) -> None:
        answer = Answer("Here.", provider="x", parts=(Part("image", data={"url": "https://example.org/i.png"}),))
        assert markup.render(answer)[0].text == "Here.\n\nPicture (https://example.org/i.png)"


class TestRates:
    CLASS_3 = (20, 5100, 5000, 4000, 3000, 6000, 6000)

    @staticmethod
    def _body(entry: int) -> bytes:
        levels = b"".join(value.to_bytes(4, "big") for value in TestRates.CLASS_3)
        return b"\x00\x01\x00\x03" + levels + bytes(entry - 30) + b"\x00\x03\x00\x01\x00\x04\x00\x06"

    @pytest.mark.parametrize("entry", [30, 35])
    def test_both_sizes_are_read(self, entry: int) -> None:
        table = rates.read_table(self._body(entry))
        assert table.groups == {(4, 6): 3}
        assert table.classes[0] == rates.RateClass(3, *self.CLASS_3)
        assert table.acknowledgement() == b"\x00\x03"

    def test_six_go_at_once_and_then_one_every_four_seconds(self) -> None:
        bucket = rates.Bucket(rates.RateClass(3, *self.CLASS_3), 0.0)
        sent_at: list[float] = []
        now = 0.0
        while len(sent_at) < 12:
            now += bucket.wait_ms(now)
            bucket.note(now)
            sent_at.append(now)
        assert sent_at[5] == 0
        assert sent_at[6] > 0
        assert sent_at[11] - sent_at[10] == pytest.approx(4300)

    def test_after_a_limit_it_waits_until_the_server_hears_again(self) -> None:
        bucket = rates.Bucket(rates.RateClass(3, *self.CLASS_3), 0.0)
        bucket.told(rates.LIMITED, rates.RateClass(3, *self.CLASS_3[:5], 3900, 6000), 0.0)
        wait_ms = bucket.wait_ms(0.0)
        bucket.note(wait_ms)
        assert (3900 * 19 + wait_ms) / 20 > 5100


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [(0x02, Throttled), (0x04, Rejected), (0x05, Unavailable), (0x0B, Rejected), (0xFF, Unavailable)],
    )
    def test_what_a_refused_message_means(self, code: int, kind: type[Exception]) -> None:
        assert type(of_message(code)) is kind

    @pytest.mark.parametrize(
        ("code", "permanent", "too_often"), [(5, True, False), (0x18, False, True), (2, False, False)]
    )
    def test_what_a_refused_login_means(self, code: int, permanent: bool, too_often: bool) -> None:
        with pytest.raises(LoginRefused) as raised:
            login.read_answer(encode_tlvs([(1, b"bot"), (8, code.to_bytes(2, "big"))]))
        assert (raised.value.permanent, raised.value.too_often) == (permanent, too_often)

    @pytest.mark.parametrize(
        ("address", "found"),
        [("h", ("h", 5190)), ("h:5191", ("h", 5191)), ("[::1]:7", ("::1", 7)), ("[::1]", ("::1", 5190))],
    )
    def test_addresses(self, address: str, found: tuple[str, int]) -> None:
        assert login.split_address(address) == found

    def test_a_ticket_does_not_show_its_cookie(self) -> None:
        assert "secret" not in repr(login.Ticket("h", 1, b"secret"))


def test_the_cookie_of_a_piece_is_the_same_for_every_try() -> None:
    assert cookie_of("mindbot-1-0") == cookie_of("mindbot-1-0") != cookie_of("mindbot-1-1")
    assert len(cookie_of("x")) == 8
