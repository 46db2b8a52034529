"""Verifies models, dumps of values, and receipts, and names the first difference."""
