"""What `mindbot doctor` says."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

_WECOM_CODES: Words = {
    "40013": (
        "corpid is wrong: it stands under My Enterprise and begins with ww",
        "corpid 不正确:见「我的企业」中的企业 ID,以 ww 开头",
    ),
    "60020": (
        "put the address from which this server calls on the app's list of trusted IPs; it takes about a minute",
        "请将本服务器的出口 IP 加入应用的企业可信 IP,约一分钟后生效",
    ),
    "48002": ("allow this API for the app in the admin console", "请在管理后台为该应用开通此接口权限"),
    "50003": ("the app is switched off in the admin console", "该应用已在管理后台停用,请启用"),
}

WORDS: Words = {
    "level_ok": ("ok", "正常"),
    "level_warn": ("warn", "注意"),
    "level_fail": ("fail", "失败"),
    "do": ("-> {advice}", "-> {advice}"),
    "summary": ("ok: {ok}, to look at: {warn}, failed: {fail}", "正常 {ok} 项,注意 {warn} 项,失败 {fail} 项"),
    "nothing_else": (
        "nothing else can be looked at before the configuration can be read",
        "配置可读之前无法检查其他项目",
    ),
    # this process
    "is_root": ("this runs as root", "当前以 root 身份运行"),
    "not_root": (
        "run MindBot as a user of its own; as root every mistake reaches the whole machine",
        "请使用专用用户运行 MindBot;以 root 运行时任何错误都会影响整台机器",
    ),
    "settings": ("read: {files}", "已读取:{files}"),
    "settings_default": ("no mindbot.yaml; defaults and environment only", "没有 mindbot.yaml,仅使用默认值和环境变量"),
    "setting_doubtful": ("{where}: {path}: {problem}", "{where}:{path}:{problem}"),
    "config_check": ("see: mindbot config check", "请运行:mindbot config check"),
    "times_nest": (
        "they nest: webhook {webhook} s < answer {answer} s < lease {lease} s < visibility {visibility} s, "
        "deadline {deadline} s",
        "时间限制逐级嵌套:webhook {webhook} 秒 < 回答 {answer} 秒 < 租约 {lease} 秒 < "
        "可见性 {visibility} 秒,期限 {deadline} 秒",
    ),
    # database
    "database_fine": ("{dialect} answers, schema {revision}", "{dialect} 有应答,结构版本 {revision}"),
    "database_missing": ("there is no database at {where}", "{where} 处没有数据库"),
    "database_away": ("{where}: {why}", "{where}:{why}"),
    "revision_differs": (
        "its schema is {found}, this version needs {wanted}",
        "结构版本为 {found},当前程序需要 {wanted}",
    ),
    "upgrade": ("create or upgrade the tables: mindbot db upgrade", "请创建或升级表:mindbot db upgrade"),
    "start_database": ("start it, or correct DATABASE_URL", "请启动数据库,或更正 DATABASE_URL"),
    "no_wal": ("SQLite's journal mode is {mode} and not wal", "SQLite 的日志模式为 {mode},而不是 wal"),
    "why_no_wal": (
        "put the file on a local disk: network file systems cannot do it",
        "请将数据库文件放在本地磁盘:网络文件系统不支持 WAL",
    ),
    "commit_not_synchronous": ("synchronous_commit is {value}", "synchronous_commit 为 {value}"),
    "set_synchronous": (
        "ALTER SYSTEM SET synchronous_commit = on: otherwise acknowledged messages may be lost",
        "请执行 ALTER SYSTEM SET synchronous_commit = on,否则已确认的消息可能丢失",
    ),
    "disk_fine": ("{free} MB free in {folder}", "{folder} 剩余 {free} MB"),
    "disk_full": ("only {free} MB free in {folder}", "{folder} 仅剩 {free} MB"),
    "free_disk": (
        "make room, or keep messages for fewer days (retention_days)",
        "请清理空间,或减少保留天数(retention_days)",
    ),
    # traces
    "no_exporter": ("traces are configured, but the extra is missing", "已配置追踪,但缺少附加组件"),
    "install_exporter": ("pip install 'mindbot[telemetry]'", "请运行 pip install 'mindbot[telemetry]'"),
    "collector_fine": ("the collector at {address} takes traces", "采集器 {address} 可接收追踪数据"),
    "collector_away": ("{address}: {why}", "{address}:{why}"),
    "collector_refuses": ("{address} answered {status}", "{address} 返回 {status}"),
    "check_collector": (
        "check telemetry.endpoint and telemetry.headers; messages are answered all the same",
        "请检查 telemetry.endpoint 与 telemetry.headers;消息处理不受影响",
    ),
    "not_grpc": (
        "4317 is the port for gRPC; MindBot speaks OTLP over HTTP, which usually listens on 4318",
        "4317 是 gRPC 端口;MindBot 使用 OTLP over HTTP,通常为 4318",
    ),
    # redis and broker
    "redis_fine": ("version {version} answers", "版本 {version},有应答"),
    "redis_asleep": (
        "the built-in one is not running (it starts with MindBot)",
        "内置 Redis 未运行(随 MindBot 一同启动)",
    ),
    "start_mindbot": ("start MindBot: make run, or mindbot up", "请启动 MindBot:make run 或 mindbot up"),
    "redis_away": ("{where} does not answer ({why})", "{where} 无应答({why})"),
    "start_redis": ("start it, or correct REDIS_URL and its password", "请启动 Redis,或更正 REDIS_URL 及其密码"),
    "redis_old": ("version {version} is older than {oldest}", "版本 {version} 低于 {oldest}"),
    "upgrade_redis": ("Celery needs Redis {oldest} or newer", "Celery 需要 Redis {oldest} 或更高版本"),
    "no_append_only": ("appendonly is off", "appendonly 未开启"),
    "set_append_only": (
        "CONFIG SET appendonly yes: a restart then keeps the queues; without it the sweeper has to start them again",
        "请执行 CONFIG SET appendonly yes:重启后保留队列,否则要由清扫任务重新启动",
    ),
    "redis_evicts": ("maxmemory-policy is {policy}", "maxmemory-policy 为 {policy}"),
    "set_noeviction": (
        "CONFIG SET maxmemory-policy noeviction: what Redis evicts are queues",
        "请执行 CONFIG SET maxmemory-policy noeviction:被逐出的会是队列",
    ),
    "broker_fine": ("{where} answers", "{where} 有应答"),
    "broker_away": ("{where} does not answer ({why})", "{where} 无应答({why})"),
    "start_broker": ("start it, or correct broker_url", "请启动消息代理,或更正 broker_url"),
    # workers
    "workers_unknown": ("unknown: {why}", "未知:{why}"),
    "not_running": ("MindBot is not running on {home}", "MindBot 未在 {home} 上运行"),
    "queue_fine": ("a task came through {age} s ago", "{age} 秒前有任务通过"),
    "queue_unserved": ("no living worker serves it", "没有存活的 worker 处理该队列"),
    "start_worker": (
        "start the role of the Procfile whose -Q names {queue}",
        "请启动 Procfile 中 -Q 含 {queue} 的角色",
    ),
    "queue_stuck": (
        "a worker serves it, but the last task came through {age} s ago",
        "有 worker,但距上次任务通过已 {age} 秒",
    ),
    "restart_worker": (
        "just after the start: wait 20 s; else restart the worker of {queue}, and look whether beat runs",
        "刚启动时请等待 20 秒;否则请重启 {queue} 的 worker,并确认 beat 在运行",
    ),
    "sweeper_fine": ("the last sweep was {age} s ago", "上次清扫在 {age} 秒前"),
    "nobody_sweeps": ("the last sweep was {age} s ago", "距上次清扫已 {age} 秒"),
    "start_beat": ("start beat, and a worker of the queue upkeep", "请启动 beat 和 upkeep 队列的 worker"),
    "message_waits": ("a message has waited {age} s without being started", "有消息已等待 {age} 秒未被处理"),
    "tune": ("more slots may be needed: mindbot tune", "可能需要更多并发:mindbot tune"),
    # platforms, providers, workflows
    "examined": ("the credentials are right: {called} was answered", "凭据正确:{called} 有应答"),
    "credentials_refused": ("not let in: {why}", "登录被拒绝:{why}"),
    "check_credentials": (
        "compare the credentials with those of the vendor's console; a missing permission looks the same",
        "请与平台后台的凭据核对;缺少权限时表现相同",
    ),
    "bot_fine": (
        "{state}; last message in: {inbound}, last answer out: {outbound}",
        "{state};最近收到消息:{inbound},最近发出回复:{outbound}",
    ),
    "bot_unusable": ("its settings cannot be used: {why}", "设置不可用:{why}"),
    "bot_connected": ("connected ({detail})", "已连接({detail})"),
    "bot_reached_by_webhook": ("reached by webhook", "通过 webhook 接收"),
    "bot_token_refused": ("the platform refused its credentials lately", "平台最近拒绝了它的凭据"),
    "ago": ("{seconds} s ago", "{seconds} 秒前"),
    "never": ("never seen", "尚无记录"),
    "bot_unheld": ("no process holds its connection", "没有进程保持它的连接"),
    "start_bridges": (
        "start the role bridges of the Procfile (mindbot bridges), and look at its log",
        "请启动 Procfile 中的 bridges 角色(mindbot bridges),并查看其日志",
    ),
    "bot_off_line": ("its connection is {state} for {since} s: {detail}", "连接状态为 {state},已 {since} 秒:{detail}"),
    "see_bridges_log": ("see the log of the role bridges", "请查看 bridges 角色的日志"),
    "dingtalk_credentials": (
        "compare client_id and client_secret with the app's page (Credentials) in DingTalk's console",
        "请与钉钉开放平台应用的「凭证与基础信息」核对 client_id 和 client_secret",
    ),
    "aim_credentials": (
        "sign on with username and password from any AIM client; a suspended account is refused in the same way",
        "请用任意 AIM 客户端以该用户名和密码登录验证;账号被停用时同样会被拒绝",
    ),
    "wecom_credentials": (
        "compare corpid and secret with the app's page in WeCom's console; this server must be on its trusted IPs",
        "请与企业微信管理后台的应用页面核对 corpid 和 secret,并将本服务器的 IP 加入企业可信 IP",
    ),
    "wecomcs_credentials": (
        "take corpid, and the secret of the app that may call the API: the one that Customer Service shows is refused",
        "请核对 corpid,并使用「可调用接口的应用」的 secret;微信客服自身显示的 secret 已不可用",
    ),
    "bot_refused": ("the platform refuses the call ({code})", "平台拒绝了调用({code})"),
    **{f"{platform}_{code}": words for platform in ("wecom", "wecomcs") for code, words in _WECOM_CODES.items()},
    "wecomcs_48002": (
        "choose the app under WeChat Customer Service, API, as one that may call the API",
        "请在「微信客服」的「API」中,将该应用设为可调用接口的应用",
    ),
    **dict.fromkeys(
        ("wecomcs_95011", "wecomcs_95012", "wecomcs_95017"),
        ("have the customer service account managed by API", "请将客服账号设为通过 API 管理"),
    ),
    "chat_fine": ("its secret can be used", "密钥可用"),
    "chat_no_secret": ("it has no secret", "没有密钥"),
    "chat_bad_secret": ("its secret cannot be used: {why}", "密钥不可用:{why}"),
    "chat_secret": (
        'write "whsec_" and the base64 of 32 random bytes',
        '请填写 "whsec_" 加 32 个随机字节的 base64',
    ),
    "only_playground": ("nobody but the playground can write to the bot", "除对话页面外没有其他入口"),
    "no_platform": ("no platform is on", "没有启用任何平台"),
    "add_platform": (
        "add a section such as `dingtalk` or `chat` to mindbot.yaml",
        "请在 mindbot.yaml 中添加 `dingtalk` 或 `chat` 等配置段",
    ),
    "no_model": ("no model is configured: the offline answerer replies", "尚未配置模型:由离线应答器回复"),
    "add_model": (
        "add a section `providers` or `workflows` to mindbot.yaml",
        "请在 mindbot.yaml 中添加 `providers` 或 `workflows`",
    ),
    "chroma_fine": ("the vector store answers", "向量库正常"),
    "chroma_away": ("the vector store does not answer: words only", "向量库无响应:仅按词检索"),
    "chroma_other": (
        "the vectors of {bases} are of another model: words only",
        "{bases} 的向量由其他模型生成:仅按词检索",
    ),
    "chroma_reindex": ("run `mindbot kb reindex {base}`", "请运行 `mindbot kb reindex {base}`"),
    "chroma_start": ("start the role `chroma`, or look at `chromadb.url`", "启动角色 `chroma`,或检查 `chromadb.url`"),
    "files_fine": ("files are kept in {place}", "文件保存在 {place}"),
    "files_unwritable": ("files cannot be written to {place}", "无法写入文件目录 {place}"),
    "files_rights": ("give MindBot's user the right to write there", "请为 MindBot 的系统用户授予写权限"),
    "files_unreachable": ("the S3 store does not do what it should: {why} ({code})", "S3 存储不可用:{why}({code})"),
    "files_check_s3": (
        "check files.endpoint_url, bucket, region and the key's rights",
        "请检查 files.endpoint_url、bucket、region 和密钥权限",
    ),
    "influxdb_fine": ("takes figures into {bucket}", "可写入存储桶 {bucket}"),
    "influxdb_refuses": ("refuses figures: HTTP {status}", "拒绝写入:HTTP {status}"),
    "influxdb_check": (
        "check org, bucket and token; the token must be allowed to write",
        "请检查 org、bucket 和 token,令牌须有写权限",
    ),
    "statsd_sent": (
        "figures go to {address}; whether anybody takes them UDP does not tell",
        "指标发往 {address};UDP 无法确认是否被接收",
    ),
    "statsd_away": ("nobody listens at {address}", "{address} 无人监听"),
    "statsd_start": ("start the agent there, or correct metrics.statsd", "请在该处启动代理,或更正 metrics.statsd"),
    "speech_fine": ("answers; recordings go to {model}", "可用,录音交给 {model}"),
    "no_voice_extra": ("AMR and SILK recordings cannot be converted", "无法转换 AMR 和 SILK 录音"),
    "add_voice_extra": ('pip install "mindbot[voice]"', 'pip install "mindbot[voice]"'),
    "provider_fine": ("the key is right, model {model}", "密钥正确,模型 {model}"),
    "provider_unusable": ("it cannot answer: {why}", "无法用于回答:{why}"),
    "key_fine": ("the key is right", "密钥正确"),
    "notifier_fine": ("the credentials are right: {told}", "凭据正确:{told}"),
    "model_shuts_down": ("{model} is switched off on {day}", "{model} 将于 {day} 停止服务"),
    "no_model_list": (
        "it does not list its models ({status}), so the key was not tried",
        "不提供模型列表({status}),未能验证密钥",
    ),
    "try_it": ("ask something: mindbot ask hello", "请试问一句:mindbot ask 你好"),
    "model_not_listed": ("the key is right, but {model} is not among its models", "密钥正确,但模型列表中没有 {model}"),
    "choose_model": ("choose one of: {some}", "请从以下模型中选择:{some}"),
    "dify_fine": ("the key is right, app mode {mode}", "密钥正确,应用类型 {mode}"),
    "dify_fine_into": (
        "the key is right, app mode {mode}, the question goes into {variable}",
        "密钥正确,应用类型 {mode},问题写入变量 {variable}",
    ),
    "mode_differs": (
        "the app is of mode {mode}, the configuration says {said}; each process has to find that out",
        "应用类型为 {mode},而配置为 {said};每个进程都要先自行纠正",
    ),
    "set_mode": (
        "set app_mode, or give the base address as dify_endpoint",
        "请设置 app_mode,或将 dify_endpoint 写为基础地址",
    ),
    "input_unknown": ("the app has no input variable {names}", "应用没有输入变量 {names}"),
    "input_missing": ("the app requires {names}, which nothing fills", "应用要求填写 {names},但没有配置其内容"),
    "set_inputs": (
        "set inputs or text_input of the workflow; the form has: {known}",
        "请设置该工作流的 inputs 或 text_input;表单变量:{known}",
    ),
    "not_let_in": ("the credentials are refused ({status}, {code})", "凭据被拒绝({status},{code})"),
    "check_key": (
        "put the right api key in; a missing permission looks the same",
        "请填写正确的 API 密钥;缺少权限时表现相同",
    ),
    "refused": ("refused ({status}, {code})", "被拒绝({status},{code})"),
    "strange_answer": (
        "the answer ({status}) is not what this service sends",
        "返回内容({status})不是该服务应有的格式",
    ),
    "check_address": (
        "check the address: base_url, dify_endpoint or api_base",
        "请检查地址:base_url、dify_endpoint 或 api_base",
    ),
    "unreachable": ("cannot be reached: {why}", "无法连接:{why}"),
    "check_network": ("check the address, DNS and the firewall of this machine", "请检查地址、DNS 和本机防火墙"),
    "throttled": ("it asks to wait ({status})", "对方要求等待({status})"),
    "in_trouble": ("it is in trouble ({status})", "对方出现故障({status})"),
    "later": ("look again later", "请稍后再查"),
    # clock
    "clock_fine": ("it agrees with the vendors'", "与各服务商的时钟一致"),
    "clock_off": ("it differs from the vendors' by {seconds} s", "与各服务商的时钟相差 {seconds} 秒"),
    "set_clock": (
        "switch time synchronisation on: signatures hold a few minutes only",
        "请开启时间同步:签名只在几分钟内有效",
    ),
}
