"""Applying a slice to a target: plan it against the ledger, run it under a lock, verify what came out."""
