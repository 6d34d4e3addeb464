"""In-memory stand-ins for the SMS worker's tests."""

from tests.support.clock import NOW, clock
from tests.support.fakes.sms import FakeLedger, FakeProvider, FakeRecord, FakeReportBook

__all__ = ["NOW", "FakeLedger", "FakeProvider", "FakeRecord", "FakeReportBook", "clock"]
