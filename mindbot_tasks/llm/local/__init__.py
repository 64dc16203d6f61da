"""A model that this machine runs itself: Hugging Face transformers behind an OpenAI-compatible server of its own."""
