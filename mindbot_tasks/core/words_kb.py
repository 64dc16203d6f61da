"""What `mindbot kb` says, and what an answer says about what the bot has read."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    # in answers
    "sources": ("Sources:", "来源:"),
    "unavailable": (
        "The knowledge base could not be searched just now; this answer was given without it.",
        "知识库暂时无法检索,此回答未参考其中内容。",
    ),
    "not_read": (
        "This is not in what I have read.",
        "我读过的资料里没有这个内容。",
    ),
    # commands
    "skipped": ("{source}: skipped ({why})", "{source}:已跳过({why})"),
    "nothing_to_add": ("there is nothing here that can be read", "这里没有可读取的文档"),
    "not_found": ("there is no document {name}", "没有文档 {name}"),
    "no_base": ("there is no knowledge base {name}", "没有知识库 {name}"),
    "empty": (
        "nothing has been read yet; begin with: mindbot kb add docs/",
        "尚未读取任何文档;可先运行:mindbot kb add docs/",
    ),
    "done": (
        "documents: {ready} ready, {failed} failed, {waiting} waiting",
        "{ready} 个文档就绪,{failed} 个失败,{waiting} 个等待中",
    ),
    "left": (
        "the workers go on with it; see `mindbot kb list`",
        "其余由 worker 继续处理;查看:`mindbot kb list`",
    ),
    "removed": ("documents taken away: {count}", "已移除 {count} 个文档"),
    "reindexed": ("documents whose vectors are made anew: {count}", "正在重新生成 {count} 个文档的向量"),
    "reading": ("reading", "读取中"),
    "trouble_vectors": ("the vector store does not answer: words only", "向量库无响应:仅按词检索"),
    "trouble_embeddings": ("the embedding server does not answer: words only", "向量模型服务无响应:仅按词检索"),
    "trouble_reindex": (
        "the vectors are of another model: words only; run `mindbot kb reindex`",
        "向量由其他模型生成:仅按词检索;请运行 `mindbot kb reindex`",
    ),
    "trouble_words": (
        "the word index is being made: not everything is found yet",
        "词索引正在建立:部分内容暂时检索不到",
    ),
    "trouble_busy": ("too many questions at once", "同时检索的问题过多"),
    "trouble_database": ("the database does not answer", "数据库无响应"),
    "words_only": (
        "no chromadb section is configured: documents are found by their words only",
        "未配置 chromadb:仅按词检索文档",
    ),
    "head_id": ("id", "编号"),
    "head_base": ("base", "知识库"),
    "head_source": ("source", "来源"),
    "head_state": ("state", "状态"),
    "head_chunks": ("pieces", "片段"),
    "head_embedded": ("vectors", "向量"),
    "head_mode": ("found by", "检索方式"),
    "head_refused": ("refused rightly", "正确拒答"),
    "head_kept": ("answered rightly", "正确应答"),
    "head_language": ("language", "语言"),
    "head_questions": ("questions", "问题数"),
    "state_queued": ("waits to be read", "等待读取"),
    "state_embedding": ("vectors are made", "生成向量中"),
    "state_waits": ("tried again soon", "稍后重试"),
    "state_ready": ("ready", "就绪"),
    "state_failed": ("failed", "失败"),
    "state_removing": ("is taken away", "移除中"),
    "set_tuning": ("questions on which the settings were tuned", "用于调优的问题"),
    "set_held-out": ("questions on which nothing was tuned", "未用于调优的问题"),
    "mode_dense": ("vectors", "向量"),
    "mode_lexical": ("words", "词"),
    "mode_hybrid": ("both", "两者结合"),
}
