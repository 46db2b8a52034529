"""Engines, which run a Program: one interface, and two backends that give the same bits."""
