"""The common parts of the commands: arguments, messages, outputs."""
