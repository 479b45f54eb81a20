"""What verbs answer, for people (aligned text that survives copying) and for programs (JSON documents)."""
