"""Other implementations of a proxy, without the gateway's features, for comparison.

Each is a program: `python -m benchmarks.peers.<name> PORT UPSTREAM_PORT`.
"""
