"""From a float checkpoint to an integer program: the only place where floats live."""
