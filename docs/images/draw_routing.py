"""Draws routing.svg and routing.zh-CN.svg, the pictures of docs/routing.md: `python docs/images/draw_routing.py`."""

from __future__ import annotations

from html import escape
from pathlib import Path

HERE = Path(__file__).parent

#: key -> (English, Chinese)
WORDS = {
    "title": ("How a message is routed", "消息如何路由"),
    "desc": (
        "A message is classified; its person gets a variant of the workflow; the strategy puts the ways to answer in "
        "order; they are tried one after the other until one answers, else an apology goes out. What became of each "
        "try is counted and decides about demotion, reports and recommendations.",
        "消息先分类;用户被分到工作流的某个变体;策略决定各回答方的顺序;依次尝试直到有人回答,否则致歉。每次尝试的结果都会统计,用于降级、报表与推荐。",
    ),
    "message": ("message", "消息"),
    "classify": ("classify", "分类"),
    "classify_how": ("patterns, model, context", "模式、模型、上下文"),
    "label": ("label and confidence", "标签与置信度"),
    "variant": ("variant", "变体"),
    "variant_how": ("hash of the person", "按用户哈希"),
    "strategy": ("strategy", "策略"),
    "strategy_how": ("agent.workflows", "agent.workflows"),
    "tool_first": ("tool-first", "tool-first"),
    "tool_when": ("always", "始终"),
    "workflow_first": ("workflow-first", "workflow-first"),
    "workflow_when": ("always", "始终"),
    "hybrid_sure": ("hybrid", "hybrid"),
    "sure_when": ("confidence reached", "置信度足够"),
    "hybrid_unsure": ("hybrid", "hybrid"),
    "unsure_when": ("confidence too low", "置信度不足"),
    "agent": ("agent", "智能体"),
    "workflow": ("workflow", "工作流"),
    "basic": ("basic Dify", "基础 Dify"),
    "models": ("chat models", "对话模型"),
    "general": ("general", "通用"),
    "general_below": ("workflow", "工作流"),
    "apology": ("apology", "致歉"),
    "each": (
        "each way: breaker, limits, a share of the time; on failure the next one",
        "每一步:熔断、限流、时间份额;失败则尝试下一个",
    ),
    "sick": ("a demoted workflow goes behind all others", "已降级的工作流排到最后"),
    "ledger": ("ledger", "账本"),
    "ledger_how": ("tries, thumbs", "尝试、评价"),
    "tally": ("tally", "统计"),
    "tally_how": ("every 30 s", "每 30 秒"),
    "window": ("last ten minutes", "最近十分钟"),
    "window_how": ("shared by all workers", "所有进程共享"),
    "figures": ("figures, A/B report", "指标、A/B 报告"),
    "figures_how": ("mindbot workflows", "mindbot workflows"),
    "next": ("recommendations", "推荐"),
    "next_how": ("people went on with", "用户接着使用"),
    "demote": ("demotion, probes", "降级与探测"),
    "demote_how": ("behind, and back", "靠后,恢复后归位"),
}
FONTS = "system-ui, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
WIDTH, HEIGHT = 1160, 640
STYLE = """
    .page { fill: #ffffff; stroke: #d5dae1 }
    .box { fill: #f4f6f9; stroke: #8a94a3; stroke-width: 1.5 }
    .stage { fill: #e6f0ff; stroke: #2f6fde; stroke-width: 1.5 }
    .ledger { fill: #fff4dc; stroke: #b97a00; stroke-width: 2 }
    .mend { fill: #e4f6ea; stroke: #23854a; stroke-width: 1.5 }
    text { fill: #17202b } .small { font-size: 12.5px; fill: #4c5867 } .name { font-weight: 600 }
    .line { fill: none; stroke: #4c5867; stroke-width: 1.7 } .head { fill: #4c5867 }
    .back { fill: none; stroke: #23854a; stroke-width: 1.7; stroke-dasharray: 6 4 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #12171e; stroke: #333d4a } .box { fill: #1e2630; stroke: #7d8897 }
      .stage { fill: #16294a; stroke: #6b9bf0 } .ledger { fill: #3a2c0d; stroke: #dba63a }
      .mend { fill: #133021; stroke: #4fb37a } text { fill: #e8ecf1 } .small { fill: #aab4c0 }
      .line { stroke: #aab4c0 } .head { fill: #aab4c0 } .back { stroke: #4fb37a }
    }
"""


class Picture:
    """SVG, piece by piece, in one language."""

    def __init__(self, lang: int) -> None:
        self._lang = lang
        self._pieces: list[str] = []

    def say(self, key: str) -> str:
        return escape(WORDS[key][self._lang])

    def box(self, x: int, y: int, width: int, height: int, kind: str, name: str, below: str = "") -> None:
        middle, line = x + width // 2, y + height // 2 + (-3 if below else 5)
        self._pieces.append(f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>')
        self.text(middle, line, name, "name")
        if below:
            self.text(middle, line + 18, below, "small")

    def text(self, x: int, y: int, key: str, kind: str = "", anchor: str = "middle") -> None:
        self._pieces.append(f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{self.say(key)}</text>')

    def arrow(self, path: str, kind: str = "line") -> None:
        self._pieces.append(f'<path class="{kind}" d="{path}" marker-end="url(#head)"/>')

    def line(self, path: str) -> None:
        self._pieces.append(f'<path class="line" d="{path}"/>')

    def svg(self) -> str:
        body = "\n  ".join(self._pieces)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'role="img" aria-labelledby="title desc"\n'
            f'     font-family="{FONTS}" font-size="15">\n'
            f'  <title id="title">{self.say("title")}</title>\n  <desc id="desc">{self.say("desc")}</desc>\n'
            f"  <style>{STYLE}  </style>\n"
            '  <defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
            'orient="auto"><path class="head" d="M0 0 L10 5 L0 10 z"/></marker></defs>\n'
            f'  <rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>\n'
            f"  {body}\n</svg>\n"
        )


LANES = (
    ("tool_first", "tool_when", ("agent", "workflow")),
    ("workflow_first", "workflow_when", ("workflow", "agent")),
    ("hybrid_sure", "sure_when", ("workflow", "agent")),
    ("hybrid_unsure", "unsure_when", ("agent", "workflow")),
)
KINDS = {"agent": "mend", "workflow": "stage", "apology": "ledger"}
BELOW = {"general": "general_below"}


def draw(lang: int) -> str:
    """The picture: the message's way at the top, the orders in the middle, what is learnt at the bottom."""
    picture = Picture(lang)
    top = (("message", "", "box"), ("classify", "classify_how", "stage"), ("variant", "variant_how", "stage"),
           ("strategy", "strategy_how", "stage"))  # fmt: skip
    for number, (name, below, kind) in enumerate(top):
        x = 40 + number * 280
        picture.box(x, 30, 220, 60, kind, name, below)
        if number:
            picture.arrow(f"M{x - 60} 60 H{x - 4}")
    picture.text(460, 112, "label", "small")
    picture.line("M990 90 V122 H20 V374")
    for lane, (name, when, pair) in enumerate(LANES):
        y = 150 + lane * 66
        picture.box(40, y, 170, 52, "box", name, when)
        picture.arrow(f"M20 {y + 26} H36")
        rest = (*pair, "basic", "models", "general", "apology")
        x = 240
        for number, way in enumerate(rest):
            width = 110 if way == "apology" else 130
            picture.box(x, y, width, 52, KINDS.get(way, "box"), way, BELOW.get(way, ""))
            picture.arrow(f"M{x - (30 if not number else 20)} {y + 26} H{x - 3}")
            x += width + 20
    picture.text(240, 436, "each", "small", "start")
    picture.text(240, 456, "sick", "small", "start")
    picture.box(60, 484, 150, 60, "ledger", "ledger", "ledger_how")
    picture.box(60, 564, 150, 60, "stage", "window", "window_how")
    picture.line("M125 406 V440 H30 V594")
    picture.arrow("M30 514 H56")
    picture.arrow("M30 594 H56")
    picture.box(270, 484, 150, 60, "stage", "tally", "tally_how")
    picture.box(270, 564, 150, 60, "mend", "demote", "demote_how")
    picture.box(480, 484, 210, 60, "box", "figures", "figures_how")
    picture.box(750, 484, 210, 60, "box", "next", "next_how")
    for path in ("M210 514 H266", "M210 594 H266", "M420 514 H476"):
        picture.arrow(path)
    picture.arrow("M345 544 V554 H855 V548")
    picture.arrow("M420 594 H1130 V60 H1104", "back")
    return picture.svg()


def files() -> dict[Path, str]:
    """Where each picture stands, and what is in it."""
    return {HERE / "routing.svg": draw(0), HERE / "routing.zh-CN.svg": draw(1)}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
