"""Other ways to build the gateway, each as its authors would and without any of its duties.

Each is a program: `python -m benchmarks.peers.<name> PORT UPSTREAM_PORT`.
"""
