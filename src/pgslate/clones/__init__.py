"""Databases for tests: sealed templates, clones of them, and a pool of clones made ahead."""
