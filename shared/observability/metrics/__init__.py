"""The metrics of all services: names, labels and buckets, one module per service.

Label values are from closed sets only (route templates, not paths; outcomes, not messages).
"""

from shared.observability.metrics.auth import AuthMetrics
from shared.observability.metrics.gateway import TokenMetrics, UpstreamMetrics
from shared.observability.metrics.http import (
    METHODS,
    ConnectionMetrics,
    HealthMetrics,
    HttpMetrics,
    known_method,
)
from shared.observability.metrics.registry import expose, new_registry
from shared.observability.metrics.sms import BacklogMetrics, ProviderMetrics, ReportMetrics, SmsMetrics

__all__ = [
    "METHODS",
    "AuthMetrics",
    "BacklogMetrics",
    "ConnectionMetrics",
    "HealthMetrics",
    "HttpMetrics",
    "ProviderMetrics",
    "ReportMetrics",
    "SmsMetrics",
    "TokenMetrics",
    "UpstreamMetrics",
    "expose",
    "known_method",
    "new_registry",
]
