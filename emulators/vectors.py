"""Vectors that mean something, without a model: texts with the same words are near, and so are those with words of the
same meaning, in English and Chinese, as far as a small list knows them. The same text always has the same vector.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
import struct
from functools import lru_cache

#: what these models give; another one gives 256
DIMENSIONS = {
    "text-embedding-ada-002": 1536,
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "embedding-3": 2048,
    "bge-m3": 1024,
    "nomic-embed-text": 768,
}
USUAL_DIMENSION = 256

#: words of one meaning; the first names it
MEANINGS = (
    "holiday holidays vacation leave 年假 假期 休假 放假",
    "sick ill illness flu 病假 生病 病",
    "salary pay wage wages income 工资 薪水 薪资",
    "travel trip journey train 出差 旅行 差旅",
    "price cost costs fee 价格 费用 多少钱 收费",
    "buy purchase order 购买 采购 买",
    "manager boss supervisor 经理 主管 领导",
    "password passphrase credential 密码 口令",
    "delete remove erase 删除 移除 去掉",
    "start begin launch 启动 开始",
    "stop end halt 停止 结束",
    "error fault failure broken 错误 故障 失败",
    "message messages 消息 信息",
    "answer reply response 回答 回复",
    "file document documents 文件 文档",
    "server machine host 服务器 主机",
    "car automobile vehicle 汽车 车辆",
    "doctor physician 医生 大夫",
    "office workplace 办公室",
    "quick fast rapid 快 快速",
)
_MEANS = {word: f"meaning:{place}" for place, line in enumerate(MEANINGS) for word in line.split()}
_LONGEST = max(map(len, _MEANS))
_WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]+")
_EMPTY = "a an and are as at be by can do does for from how i in is it many of on or the to what 的 了 吗"
_EMPTY_WORDS = frozenset(_EMPTY.split())


def dimension_of(model: str) -> int:
    """As the vendors have it; tags and organisations do not matter."""
    return DIMENSIONS.get(model.split("/")[-1].split(":")[0], USUAL_DIMENSION)


def vector(text: str, model: str, dimension: int) -> list[float]:
    """Of length 1. Vectors of two models have nothing to do with each other."""
    numbers = [0.0] * dimension
    for piece in [*_pieces(text.lower()), "any text"]:  # no two texts are wholly unlike
        weight = 2.0 if piece.startswith("meaning:") else 1.0
        for place, value in _direction(piece, model):
            numbers[place % dimension] += weight * value
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]


def packed(numbers: list[float]) -> bytes:
    """As OpenAI sends them when asked for base64."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def likeness(question: str, text: str) -> float:
    """0 to 1, as a rerank model says it."""
    asked, there = set(_pieces(question.lower())), set(_pieces(text.lower()))
    return len(asked & there) / len(asked) if asked else 0.0


def _pieces(text: str) -> list[str]:
    found = []
    for word in _WORD.findall(text):
        if word[0] < "\u4e00":
            if word not in _EMPTY_WORDS:
                found.append(_MEANS.get(word, word))
            continue
        at = 0
        while at < len(word):
            size = next((size for size in range(_LONGEST, 0, -1) if word[at : at + size] in _MEANS), 0)
            found.append(_MEANS[word[at : at + size]] if size else word[at : at + 2])
            at += size or 1
    return found


@lru_cache(maxsize=20_000)
def _direction(piece: str, model: str) -> tuple[tuple[int, float], ...]:
    seed = int.from_bytes(hashlib.sha256(f"{model}\n{piece}".encode()).digest()[:8], "big")
    source = random.Random(seed)
    return tuple((source.randrange(1 << 30), source.gauss(0, 1)) for _ in range(48))
