"""What a database holds: a model of it, reading it in one round trip, and comparing two of them."""

from .compare import ANYBODY, Difference, compare
from .model import Name, Schema, SchemaObject, Value
from .read import read

__all__ = ["ANYBODY", "Difference", "Name", "Schema", "SchemaObject", "Value", "compare", "read"]
