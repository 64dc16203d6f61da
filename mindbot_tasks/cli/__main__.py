"""`python -m mindbot_tasks.cli`, for where the console script is not installed."""

from mindbot_tasks.cli import main

main(prog_name="mindbot")
