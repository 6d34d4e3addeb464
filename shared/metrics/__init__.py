"""Every metric of the system: names, labels and buckets in one place, a file for each service.

Labels come from closed sets only (route templates, not paths; outcomes, not messages).
"""

from shared.metrics.auth import AuthMetrics
from shared.metrics.gateway import AccessMetrics, UpstreamMetrics
from shared.metrics.http import METHODS, HttpMetrics, known_method
from shared.metrics.registry import new_registry
from shared.metrics.sms import BacklogMetrics, ProviderMetrics, ReportMetrics, SmsMetrics

__all__ = [
    "METHODS",
    "AccessMetrics",
    "AuthMetrics",
    "BacklogMetrics",
    "HttpMetrics",
    "ProviderMetrics",
    "ReportMetrics",
    "SmsMetrics",
    "UpstreamMetrics",
    "known_method",
    "new_registry",
]
