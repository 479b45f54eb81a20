"""``python -m bench.clones``."""

from bench.clones import main

main()
