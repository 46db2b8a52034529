"""Workers on a cluster of Ray: they hold a model and translate blocks of lines."""
