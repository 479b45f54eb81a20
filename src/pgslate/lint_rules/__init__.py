"""The rules of ``pgslate lint``: one file for each family."""
