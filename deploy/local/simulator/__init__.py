"""A stand-in for Yunpian on one machine: its wire format, limits and faults, and an inbox to read."""
