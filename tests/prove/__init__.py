"""Proof that a worker may die, stop or be doubled at any moment and nothing is lost or doubled."""
