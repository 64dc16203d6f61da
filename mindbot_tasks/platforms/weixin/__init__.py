"""What the platforms of qyapi.weixin.qq.com share: the callback envelope, safe XML, the API client, its error codes.

`Envelope` checks and opens callbacks; `xml.read_fields` reads what was inside; `Client` calls the API with the token
that all workers share. Who uses it: `platforms.wecom` (an app) and `platforms.wecomcs` (customer service).
"""

from mindbot_tasks.platforms.weixin.client import Client
from mindbot_tasks.platforms.weixin.envelope import Envelope

__all__ = ["Client", "Envelope"]
