"""``python -m bench.service``."""

from bench.service import main

main()
