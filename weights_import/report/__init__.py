"""Where the integers of a lowered model lose: a report that compares it with its float model.

Nothing here decides a model file.  Therefore this package alone may compute with the float
functions of NumPy.
"""
