"""A trace: the effects of every statement of a catalog, observed on a scratch database."""
