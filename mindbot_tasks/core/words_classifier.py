"""What `mindbot classifier` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "language": ("language: {name}", "语言:{name}"),
    "was_taken": ("was \\ taken for", "实际 \\ 判为"),
    "head_layer": ("layer", "层"),
    "head_language": ("language", "语言"),
    "head_count": ("messages", "消息数"),
    "head_accuracy": ("accuracy", "准确率"),
    "head_macro_f1": ("macro-F1", "宏平均 F1"),
    "head_calibration": ("calibration error", "校准误差"),
    "layer_both": ("both", "两层合并"),
    "layer_learned": ("learned alone", "仅学习层"),
    "layer_patterns": ("patterns alone", "仅关键词"),
    "took": ("version {version}; median {ms} ms for a message", "版本 {version};每条消息中位耗时 {ms} 毫秒"),
    "examples": (
        "examples: {shipped} shipped, {collected} collected ({origins}), of which {apart} are kept apart for measuring",
        "样本:自带 {shipped} 条,收集 {collected} 条({origins}),其中 {apart} 条留作评测",
    ),
    "features": ("reading the texts", "提取特征"),
    "cross-validation": ("cross-validation", "交叉验证"),
    "training": ("training", "训练"),
    "done": ("done", "完成"),
    "left_out": (
        "{label}: {fewest} examples are needed to learn it, found: {count}",
        "{label}:只有 {count} 条样本,至少需要 {fewest} 条才能学习",
    ),
    "crossed": (
        "cross-validated, {language}: {accuracy} of {count}, macro-F1 {macro_f1}, calibration error {error}",
        "交叉验证({language}):{count} 条中准确率 {accuracy},宏平均 F1 {macro_f1},校准误差 {error}",
    ),
    "old": (
        "held-out examples, version {version} (in use): {right} of {count} right, {accuracy}, macro-F1 {macro_f1}",
        "留出样本,使用中的版本 {version}:{count} 条中答对 {right} 条,准确率 {accuracy},宏平均 F1 {macro_f1}",
    ),
    "new": (
        "held-out examples, new: {right} of {count} right, {accuracy}, macro-F1 {macro_f1}",
        "留出样本,新版本:{count} 条中答对 {right} 条,准确率 {accuracy},宏平均 F1 {macro_f1}",
    ),
    "activated": (
        "version {version} is better and active now; workers use it within seconds",
        "版本 {version} 更好,已启用;各工作进程会在数秒内切换",
    ),
    "kept_back": (
        "version {version} is better and was kept; activate it with: mindbot classifier activate {version}",
        "版本 {version} 更好,已保存但未启用;启用:mindbot classifier activate {version}",
    ),
    "not_better": (
        "version {version} was kept but is not better, so version {old} stays active",
        "版本 {version} 已保存,但没有更好,继续使用版本 {old}",
    ),
    "no_label": ("there is no label {label!r}; known: {known}", "没有标签 {label!r};可用:{known}"),
    "no_message": ("there is no message {number}", "没有编号为 {number} 的消息"),
    "noted": (
        "message {number} is noted as {label}; it counts from the next `mindbot classifier train` on",
        "已记录消息 {number} 应为 {label};下次 `mindbot classifier train` 生效",
    ),
    "no_examples": ("no examples were collected yet", "还没有收集到样本"),
    "no_version": ("there is no version {version}", "没有版本 {version}"),
    "now_active": ("version {version} is active now", "已启用版本 {version}"),
    "head_version": ("version", "版本"),
    "head_trained": ("trained (UTC)", "训练时间(UTC)"),
    "head_active": ("active", "启用"),
    "head_examples": ("examples", "样本数"),
    "head_held": ("held-out (before)", "留出准确率(之前)"),
    "head_message": ("message", "消息"),
    "head_label": ("label", "标签"),
    "head_taken_for": ("was taken for", "当时判为"),
    "head_source": ("from", "来源"),
    "head_text": ("text", "内容"),
    "from_correction": ("correction", "人工更正"),
    "from_reask": ("asked again", "重复提问"),
    "from_thumb": ("thumb up", "点赞"),
    "head_patterns": ("patterns", "关键词"),
    "head_learned": ("learned", "学习层"),
    "head_fused": ("together", "合并"),
    "head_pieces": ("what speaks for it most", "最有力的依据"),
    "context": ("the conversation is in {label}, which counts {weight}", "会话当前处于 {label},影响 {weight}"),
    "no_context": ("no conversation before it", "之前没有会话"),
    "threshold": (
        "below {threshold} it would follow the conversation, else be general chat; version {version}",
        "低于 {threshold} 时沿用会话,否则为通用聊天;版本 {version}",
    ),
}
