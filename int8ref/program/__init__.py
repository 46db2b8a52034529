"""A model as data: the Program, its validation, its sizes and its inputs."""
