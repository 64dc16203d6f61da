"""`python -m emulators NAME --port P`."""

from emulators.command import emulate

if __name__ == "__main__":
    emulate(prog_name="python -m emulators")
