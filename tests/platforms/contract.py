"""What every platform must do; an adapter's tests fill in the fixtures."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, SignatureInvalid, Throttled, Unavailable
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing
from mindbot_tasks.platforms.base import Inbound, Platform
from tests.platforms.far_side import FarSide, Say, Until

ANY_TEXT = st.text(st.characters(), max_size=20)  # with halves of surrogate pairs, and NUL
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
#: function-scoped fixtures and several classes are fine here: platforms keep nothing between calls
TOTAL = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors], deadline=None
)


class PlatformContract:
    """Fixtures to fill in: platform, signed_call, stale_call, outgoing; `server` is what `platform` sends to."""

    max_chars: int
    idempotent: bool
    more_fields: tuple[str, ...]

    def fields_of(self, call: Inbound) -> dict[str, Any]:
        """What stands in a call; JSON, unless the platform's tests say otherwise."""
        fields: dict[str, Any] = json.loads(call.body)
        return fields

    def with_fields(self, call: Inbound, fields: dict[str, Any]) -> Inbound:
        """The same call with other fields."""
        return dataclasses.replace(call, body=json.dumps(fields).encode())

    def test_accepts_a_signed_call(self, platform: Platform, signed_call: Inbound) -> None:
        platform.verify(signed_call)
        assert [type(message) for message in platform.parse(signed_call)] == [Message]

    def test_refuses_a_call_without_signature(self, platform: Platform, signed_call: Inbound) -> None:
        with pytest.raises(SignatureInvalid):
            platform.verify(dataclasses.replace(signed_call, headers={}, query={}))

    def test_refuses_a_stale_call(self, platform: Platform, stale_call: Inbound) -> None:
        with pytest.raises(SignatureInvalid):
            platform.verify(stale_call)

    def test_refuses_a_signature_with_one_letter_changed(self, platform: Platform, signed_call: Inbound) -> None:
        for name in ("sign", "webhook-signature", "msg_signature"):
            where = "query" if name in signed_call.query else "headers"
            values = getattr(signed_call, where)
            if value := values.get(name):
                other = value[:-5] + ("A" if value[-5] != "A" else "B") + value[-4:]
                with pytest.raises(SignatureInvalid):
                    platform.verify(dataclasses.replace(signed_call, **{where: {**values, name: other}}))
                return
        pytest.fail("the call carries no known signature")

    @TOTAL
    @given(
        headers=st.dictionaries(
            st.sampled_from(
                ["timestamp", "sign", "webhook-id", "webhook-timestamp", "webhook-signature", "msg_signature", "nonce"],
            ),
            st.text() | st.integers().map(str),
        )
    )
    def test_any_headers_are_refused_in_the_same_way(
        self, platform: Platform, signed_call: Inbound, headers: dict[str, str]
    ) -> None:
        with pytest.raises(SignatureInvalid):
            platform.verify(dataclasses.replace(signed_call, headers=headers, query=headers))

    @TOTAL
    @given(body=st.binary() | JSON.map(json.dumps).map(str.encode))
    def test_any_body_is_messages_or_payload_invalid(
        self, platform: Platform, signed_call: Inbound, body: bytes
    ) -> None:
        try:
            messages = platform.parse(dataclasses.replace(signed_call, body=body))
        except PayloadInvalid:
            return
        assert all(isinstance(message, Message) for message in messages)

    @TOTAL
    @given(data=st.data())
    def test_any_value_in_any_field_is_a_storable_message_or_payload_invalid(
        self, platform: Platform, signed_call: Inbound, data: st.DataObject
    ) -> None:
        payload = self.fields_of(signed_call)
        fields = st.sampled_from([*payload, *self.more_fields])
        payload |= data.draw(st.dictionaries(fields, JSON, max_size=4))
        inner = [name for name, value in payload.items() if isinstance(value, dict)]
        for name in inner:
            keys = st.sampled_from([*payload[name], *self.more_fields, "content"])
            payload[name] = {**payload[name], **data.draw(st.dictionaries(keys, JSON, max_size=3))}
        try:
            messages = platform.parse(self.with_fields(signed_call, payload))
        except PayloadInvalid:
            return
        for message in messages:
            stored = json.dumps(dataclasses.asdict(message), allow_nan=False, ensure_ascii=False)
            assert "\x00" not in stored.encode().decode()
            assert "\\u0000" not in stored
            assert 0 < len(message.external_id) <= 255
            assert 0 < len(message.conversation_id) <= 255
            assert 0 < len(message.sender_id) <= 255
            assert len(message.sender_name) <= 255
            assert len(message.conversation_title) <= 255

    @pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\xef\xbb\xbf{}", b"NaN"])
    def test_hostile_json_is_payload_invalid(self, platform: Platform, signed_call: Inbound, body: bytes) -> None:
        with pytest.raises(PayloadInvalid):
            platform.parse(dataclasses.replace(signed_call, body=body))

    @TOTAL
    @given(text=st.text(alphabet=st.characters(), max_size=200), times=st.integers(1, 400))
    def test_renders_any_answer_within_the_limit(self, platform: Platform, text: str, times: int) -> None:
        for part in platform.render(Answer(text * times, provider="test")):
            assert part.text.strip()
            assert len(part.text) <= self.max_chars
            part.text.encode()

    def test_an_empty_answer_has_no_pieces(self, platform: Platform) -> None:
        assert platform.render(Answer(" \n ", provider="test")) == []

    def test_sends(self, platform: Platform, outgoing: Outgoing, server: FarSide) -> None:
        platform.send(outgoing, Deadline(60))
        assert len(server.asked) == 1

    @pytest.mark.parametrize("status", [500, 503, 599])
    def test_a_server_error_may_pass(
        self, platform: Platform, outgoing: Outgoing, server: FarSide, status: int
    ) -> None:
        server.otherwise = Say(status, b"<html>oops", content_type="text/html")
        with pytest.raises(Unavailable) as raised:
            platform.send(outgoing, Deadline(60))
        assert raised.value.status == status
        assert raised.value.kind == "server"

    def test_being_asked_to_wait_says_how_long(self, platform: Platform, outgoing: Outgoing, server: FarSide) -> None:
        server.otherwise = Say(429, {}, headers={"Retry-After": "7"})
        with pytest.raises(Throttled) as raised:
            platform.send(outgoing, Deadline(60))
        assert raised.value.retry_after_s == 7

    @pytest.mark.parametrize("status", [302, 400, 403, 404, 418])
    def test_a_no_is_final(self, platform: Platform, outgoing: Outgoing, server: FarSide, status: int) -> None:
        server.otherwise = Say(status, {}, headers={"Location": server.url + "/elsewhere"})
        with pytest.raises(Rejected):
            platform.send(outgoing, Deadline(60))
        assert len(server.asked) == 1

    @pytest.mark.parametrize("say", [Say(cut=True), Say(delay_s=3600)], ids=["cut", "silent"])
    def test_silence_after_sending_is_not_taken_for_a_no(
        self, platform: Platform, outgoing: Outgoing, server: FarSide, say: Say
    ) -> None:
        server.script.append(say)
        with pytest.raises(Unavailable) as raised:
            platform.send(outgoing, Deadline(60) if say.cut else Until(lambda: server.asked))
        assert len(server.asked) == 1
        assert platform.capabilities.idempotent_send is self.idempotent
        assert (raised.value.kind == "ambiguous") is not self.idempotent

    def test_a_dead_host_is_certainly_not_reached(self, unreachable: Platform, outgoing: Outgoing) -> None:
        with pytest.raises(Unavailable) as raised:
            unreachable.send(outgoing, Deadline(60))
        assert raised.value.kind == "connection"
