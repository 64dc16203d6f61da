"""The address book: GET user/get tells a member's name."""

from __future__ import annotations

from typing import Any

from emulators.answers import Answer, Call
from emulators.front import Front
from emulators.wecom.api import PREFIX, Api

UNKNOWN_MEMBER = 60111


class Contacts:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._names: dict[str, str] = {}

    def reset(self) -> None:
        self._names.clear()

    def get(self, call: Call) -> Answer:
        userid = call.query.get("userid", "")
        facts = {"user": userid}
        if refusal := self._api.refusal(call):
            refusal.facts |= facts
            return refusal
        if userid not in self._names:
            return self._api.error(UNKNOWN_MEMBER, facts)
        return self._api.ok(facts, userid=userid, name=self._names[userid], department=[1], status=1)

    def put(self, values: dict[str, Any]) -> None:
        """Control: {"zhangsan": "Zhang San"}; who is not here is unknown."""
        if not all(isinstance(name, str) for name in values.values()):
            raise ValueError('wanted: {"zhangsan": "Zhang San"}')
        self._names |= values


def serve(front: Front, api: Api) -> None:
    contacts = Contacts(api)
    api.resets.append(contacts.reset)
    front.add("GET", f"{PREFIX}user/get", contacts.get)
    front.control("POST", "/contacts", contacts.put)
