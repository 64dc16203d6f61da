"""The kill test: all but the emulators get killed while messages come in; a checker then reads only the logs."""
