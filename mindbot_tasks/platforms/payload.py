"""Reading what platforms post: JSON from strangers becomes values that a database can hold, or PayloadInvalid."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, NoReturn, Self, TypeAlias

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict

from mindbot_tasks.core.errors import PayloadInvalid

MAX_ID_CHARS = 255
MAX_NAME_CHARS = 200
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL has no NUL, UTF-8 has no lone surrogates


def clean(text: str) -> str:
    """The text without what no database and no JSON encoder takes."""
    return _UNSTORABLE.sub("\ufffd", text)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises PayloadInvalid."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _read_leniently(body)
    if not isinstance(value, dict):
        raise PayloadInvalid("the body is not a JSON object")
    return value


def _read_leniently(body: bytes) -> Any:
    """For halves of emoji (lone surrogates), which some phones send and which the strict reader refuses."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise PayloadInvalid("the body is not JSON") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def object_or_empty(value: object) -> object:
    """An object, also when it came as a JSON string; {} for anything else."""
    if isinstance(value, str):
        try:
            value = read_object(value.encode("utf-8", "surrogatepass"))
        except PayloadInvalid:
            return {}
    return value if isinstance(value, dict | BaseModel) else {}


def list_or_empty(value: object) -> object:
    """A list, [] for anything else."""
    return value if isinstance(value, list) else []


def text_or_empty(value: object) -> str:
    """A string, or a number as one; "" for anything else."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value.bit_length() <= 256 else ""
    return ""


def _number_or_none(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value)
    # what a BIGINT column holds
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def _flag_or_none(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int) else None


def _degrees_or_none(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= 360 else None


Text: TypeAlias = Annotated[str, BeforeValidator(text_or_empty)]
Number: TypeAlias = Annotated[int | None, BeforeValidator(_number_or_none)]
Flag: TypeAlias = Annotated[bool | None, BeforeValidator(_flag_or_none)]
Degrees: TypeAlias = Annotated[float | None, BeforeValidator(_degrees_or_none)]  #: of latitude or longitude


class Payload(BaseModel):
    """A part of a platform's body; unknown fields are left alone, a field of the wrong type counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself, for nothing can change it: Pydantic copies a part that is missing, at every message."""
        return self


def an_id(value: str, name: str) -> str:
    """A value that will be a key in the database. Raises PayloadInvalid when it is empty or too long."""
    if not value.strip():
        raise PayloadInvalid(f"{name} is missing")
    if len(value) > MAX_ID_CHARS:
        raise PayloadInvalid(f"{name} is longer than {MAX_ID_CHARS} characters")
    return value
