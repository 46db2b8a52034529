"""The network: one file a part."""
