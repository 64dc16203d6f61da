"""The figures for others: the page at /metrics, a listener for processes without a web side, and pushes."""
