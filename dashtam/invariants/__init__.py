"""What must be true of the data at any moment; `manage.py verify` looks whether it is.

An app adds its own in a module `invariants`, as functions marked with `registry.invariant`.
"""

from dashtam.invariants import feeds, rows, schema, seals

__all__ = ["feeds", "rows", "schema", "seals"]
