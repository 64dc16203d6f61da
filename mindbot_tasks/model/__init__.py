"""The nouns of MindBot, all frozen."""
