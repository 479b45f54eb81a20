"""Rolling partitions, by policy: which there are, and making those that are due."""

from pgslate.partitions.ensure import ensure
from pgslate.partitions.existing import list_partitions

__all__ = ["ensure", "list_partitions"]
