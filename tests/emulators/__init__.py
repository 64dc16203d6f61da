"""The stand-ins of vendors, proven over real HTTP."""
