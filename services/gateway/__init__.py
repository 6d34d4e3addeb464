"""The public door: routing, CORS, edge limits, proxying."""
