"""The verbs: for each, one function and one frozen result, in the file of its name."""
