"""Speed of int8ref beside what else a user could pick, measured in one interleaved run."""
