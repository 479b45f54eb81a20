"""The verbs of ``datastorage``, one a file; each has its ``command``."""
