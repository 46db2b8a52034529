"""Contestants: each file has a class `Engine`, and runs in the environment of the contestant.

`Engine(options)` loads the model.  `prepare(work)` returns a function without parameters.  The
function does the work once and returns its output as a JSON value.  The report lists the versions
of the distributions `PACKAGES`.  These files must run on Python 3.10 without other packages.
"""
