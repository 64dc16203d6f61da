"""Stand-ins of vendors on loopback; they import nothing of MindBot, so they cannot share its mistakes."""
