"""One file a contestant: a class `Engine` that runs in the contestant's own Python environment.

`Engine(options)` loads, `prepare(work)` returns a function without parameters that does the work
once and returns what it gave, as something JSON can hold.  `PACKAGES` are the distributions whose
versions are reported.  These files must run on Python 3.10 with nothing but the contestant.
"""
