"""What the agent can do besides talking: each tool is a name, a schema of its arguments, and a function."""
