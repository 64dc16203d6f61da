"""WeCom's API as customer service uses it."""
