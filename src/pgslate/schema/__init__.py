"""What a database holds: a model of it (here), ``read`` in one round trip, and ``compare`` two of them.

Only the model is imported with the package: reading a lock needs no database driver.
"""

from .model import Name, Schema, SchemaObject, Value

__all__ = ["Name", "Schema", "SchemaObject", "Value"]
