"""A stand-in for a Kubernetes cluster: its API over HTTPS, in front of real PostgreSQL servers.

It knows what pgslate and the tests use, and answers as API server and kubelet 1.36 do; ``kubectl``, where it
is installed, holds it to that. Faults come on demand: see ``faults``.
"""
