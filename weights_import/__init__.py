"""From a float checkpoint to an integer program: the only place that contains floats.

One checkpoint becomes one file, on every machine, because all floats follow the rule of
`weights_import.arithmetic`.
"""

import int8ref  # noqa: F401, tells what is missing
