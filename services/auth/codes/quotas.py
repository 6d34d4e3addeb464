"""The quotas that a code is charged to, and what happens when one is used up."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from services.auth.keyed_hash import KeyedHash
from services.auth.limits import Limit, of_dial_code
from services.auth.networks import canonical, network_of
from services.auth.settings import QuotaSettings
from shared.phone import dial_code

_SUBSCRIBER_DIGITS = 4
# Prices count in ten-thousandths of a yuan, so that Redis adds whole numbers.
_UNITS_PER_YUAN = 10_000

# In the order in which they are checked: those of _REFUSING refuse, the others ask for a challenge.
_QUOTAS = ("number", "dial_code", "address", "network", "prefix", "global")
_REFUSING = frozenset({"number", "dial_code"})


@dataclass(frozen=True, slots=True)
class Charge:
    """The Redis keys and limits that one request is charged to, as the issuing script takes them."""

    spend_key: str
    conversion_key: str
    quota_keys: list[str]
    limits: str
    price: int


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas, from the settings.

    Attributes:
        limits: by dial code, as the issuing script takes them.
        prices: in ten-thousandths of a yuan, by dial code.
        spend: spend cap of 24 hours, in ten-thousandths of a yuan.
        conversion: the least share of a prefix's codes that has to be used.
        volume: codes to a prefix before its conversion is checked.
        wrong: the limits of wrong codes, as the redeeming script takes them.
    """

    limits: Mapping[str, str]
    prices: Mapping[str, int]
    spend: int
    conversion: float
    volume: int
    wrong: str

    @classmethod
    def of(cls, settings: QuotaSettings) -> Self:
        """Return the quotas of the settings."""
        return cls(
            limits={code: _limits(settings, limit) for code, limit in settings.code_limit_dial_code.items()},
            prices={code: _units(price) for code, price in settings.code_price.items()},
            spend=_units(settings.code_limit_spend),
            conversion=settings.code_challenge_conversion,
            volume=settings.code_challenge_volume,
            wrong=json.dumps([_pairs(settings.code_wrong_address), _pairs(settings.code_wrong_network)]),
        )

    def charge(self, mobile: str, address: str, keyed_hash: KeyedHash) -> Charge:
        """Return the charge of a code to a number that an address asks for."""
        code = dial_code(mobile)
        subjects = {
            "number": mobile,
            "dial_code": code,
            "address": canonical(address),
            "network": network_of(address),
            "prefix": _prefix(mobile),
            "global": "",
        }
        return Charge(
            spend_key=_key("spend", keyed_hash.name("spend", "")),
            conversion_key=conversion_key(mobile, keyed_hash),
            quota_keys=[_key(name, keyed_hash.name(name, subjects[name])) for name in _QUOTAS],
            limits=of_dial_code(self.limits, code),
            price=of_dial_code(self.prices, code),
        )


def conversion_key(mobile: str, keyed_hash: KeyedHash) -> str:
    """Return the key of the counters of a prefix: codes requested, and codes used."""
    return _key("conversion", keyed_hash.name("prefix", _prefix(mobile)))


def wrong_keys(address: str, keyed_hash: KeyedHash) -> list[str]:
    """Return the keys of the counters of wrong codes: of the address, and of its network."""
    subjects = {"address": canonical(address), "network": network_of(address)}
    return [_key(f"wrong:{name}", keyed_hash.name(name, subject)) for name, subject in subjects.items()]


def _limits(settings: QuotaSettings, dial_code_limit: Limit) -> str:
    limits = {
        "number": settings.code_limit_number,
        "dial_code": [dial_code_limit],
        "address": settings.code_challenge_address,
        "network": settings.code_challenge_network,
        "prefix": settings.code_challenge_prefix,
        "global": settings.code_challenge_global,
    }
    return json.dumps([[name, name in _REFUSING, _pairs(limits[name])] for name in _QUOTAS])


def _pairs(limits: Iterable[Limit]) -> list[list[int]]:
    return [[limit.amount, limit.window_ms] for limit in limits]


def _key(name: str, subject: str) -> str:
    return f"code:budget:{name}:{subject}"


def _prefix(mobile: str) -> str:
    return mobile[:-_SUBSCRIBER_DIGITS]


def _units(yuan: Decimal) -> int:
    return int(yuan * _UNITS_PER_YUAN)
