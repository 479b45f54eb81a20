"""Rolling partitions, by policy: which a table should have, which it has, and making what is missing."""
