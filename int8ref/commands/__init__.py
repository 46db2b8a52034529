"""What the commands share: arguments, messages, outputs."""
