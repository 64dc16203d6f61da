"""What `mindbot up` is made of: one machine's processes, started in order, kept alive and stopped in order."""
