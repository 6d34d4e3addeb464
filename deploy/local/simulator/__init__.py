"""A simulator of Yunpian for one machine: wire format, limits, faults, and an inbox."""
