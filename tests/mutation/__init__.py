"""Mutation tests: single faults in the code, which the tests must find."""
