"""Published and own vectors of the callback envelope; computed outside of this code."""

TOKEN = "mindbotToken"
AES_KEY = "MindBotEmulatorKey0123456789abcdefghijklmno"
CORPID = "wwmindbot0000001"
QUERY = {"timestamp": "1700000000", "nonce": "nonce42"}
NOW_MS = 1_700_000_000_000
RANDOM = b"0123456789abcdef"

ECHO = "4242424242"
ECHO_SEALED = "cbkVKx5JLFIaWfTYMQryJUSWchDJz10i+cQAS5iGbkn0lcc9YXhSvT6LoHVo5CLEwDiDo1rpmINjqts1ArSUag=="
ECHO_SIGNATURE = "1e0d94c4d9b48eed47718d53e9cce614a4adeb3d"

MESSAGE = (
    "<xml><ToUserName><![CDATA[wwmindbot0000001]]></ToUserName><FromUserName><![CDATA[zhangsan]]></FromUserName>"
    "<CreateTime>1700000000</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content>"
    "<MsgId>7300000000000000001</MsgId><AgentID>1000002</AgentID></xml>"
)
MESSAGE_SEALED = (
    "cbkVKx5JLFIaWfTYMQryJVAN7WMq3Fty7XXNmgZg6F24439PT4TPMirmhLRG3teTzRLGrTCw+AIBCDqs7f0Xm5icMOJBVH0Zf6N92BP3iwg2G8t/"
    "nKCbQPseU8eCOIzHffyk9uc5AS86h1Pl93m6iJwyqpX0UiThmUpbUs/2B1UGi/8aMayN6LUXmDStLU6uUqQln+SN53RkDXLc1YRfbne8UqO453/5"
    "/js18ekkd1Ap7FQfSEN5FHKahRxsbqLTU0WgwxlW6iNVIUYEIi2fc7RIBCkutm+soV7vBF4NfEC1t9c3MEFJecw/B9u6o3Y4szpI3XowuGY39GPJ"
    "D3vOaqkCFtcB3TQ07kS8J44+wAzVx19dxTghLufGs0C0OPWw4ETm+4i/LMip2Z9etjwkhVVb5zT1ckf547+nW/9Qsuk="
)
MESSAGE_SIGNATURE = "a46f15fedb631315c6980751aeb426ec2488dcb9"

BOT_MESSAGE = (
    '{"msgid":"m1","aibotid":"aib1","chattype":"single","from":{"userid":"zhangsan"},"msgtype":"text",'
    '"text":{"content":"hi"}}'
)
BOT_SEALED = (
    "cbkVKx5JLFIaWfTYMQryJelr88zlgv35eHJRSRO8M7SXJNjoi51JLXR20BqOr8rKQKEASGZ1ukzsXNm0dl0FAaxUZQH3AIAX8SFId9E78OgbMBDm"
    "WQtU6D9wZwW7cJskmndB1TAZYuIFtf8RR4fMNBL0+2yXV6VjWc461W+JuJ87KrmKd91rjpt9JV+/SJvxt5B9sfHBYYiyUodAhuDWjw=="
)
BOT_SIGNATURE = "fa39d635b380948314efb2ddcf23108c64555302"

PUBLISHED = {
    "token": "QDG6eK",
    "encoding_aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    "receiver_id": "wx5823bf96d3bd56c7",
}
PUBLISHED_QUERY = {
    "timestamp": "1409659589",
    "nonce": "263014780",
    "msg_signature": "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3",
}
PUBLISHED_ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
