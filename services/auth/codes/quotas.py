"""What asking for a code is charged to, and what happens where a budget is used up."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from services.auth.codes.quota_settings import BudgetSettings
from services.auth.keyed_hash import CodeSecrets
from services.auth.limits import Limit, of_dial_code
from services.auth.networks import canonical, network_of
from shared.phone import dial_code

_NEIGHBOURS_DIGITS = 4
# Prices count in ten-thousandths of a yuan, so that Redis adds whole numbers.
_UNITS_PER_YUAN = 10_000

# In the order in which they are looked at: those of _REFUSING first, the others ask for a challenge.
_BUDGETS = ("number", "dial_code", "address", "network", "prefix", "global")
_REFUSING = frozenset({"number", "dial_code"})


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request is charged to: Redis keys and their limits, as the issuing script takes them."""

    spend_key: str
    conversion_key: str
    budget_keys: list[str]
    limits: str
    price: int


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets, from the settings.

    Attributes:
        limits: by dial code, as the issuing script takes them.
        prices: in units, by dial code.
        spend: units that may be spent in 24 hours.
        conversion: least part of a prefix's codes that has to be used.
        volume: codes to a prefix before its conversion is looked at.
        wrong: the limits of wrong codes, as the consuming script takes them.
    """

    limits: Mapping[str, str]
    prices: Mapping[str, int]
    spend: int
    conversion: float
    volume: int
    wrong: str

    @classmethod
    def of(cls, settings: BudgetSettings) -> Self:
        """Return the budgets that the settings state."""
        return cls(
            limits={code: _limits(settings, limit) for code, limit in settings.code_limit_dial_code.items()},
            prices={code: _units(price) for code, price in settings.code_price.items()},
            spend=_units(settings.code_limit_spend),
            conversion=settings.code_challenge_conversion,
            volume=settings.code_challenge_volume,
            wrong=json.dumps([_pairs(settings.code_wrong_address), _pairs(settings.code_wrong_network)]),
        )

    def charge(self, mobile: str, address: str, secrets: CodeSecrets) -> Charge:
        """Return what a code to a number, asked for from an address, is charged to."""
        code = dial_code(mobile)
        subjects = {
            "number": mobile,
            "dial_code": code,
            "address": canonical(address),
            "network": network_of(address),
            "prefix": _neighbours(mobile),
            "global": "",
        }
        return Charge(
            spend_key=_key("spend", secrets.pseudonym("spend", "")),
            conversion_key=conversion_key(mobile, secrets),
            budget_keys=[_key(name, secrets.pseudonym(name, subjects[name])) for name in _BUDGETS],
            limits=of_dial_code(self.limits, code),
            price=of_dial_code(self.prices, code),
        )


def conversion_key(mobile: str, secrets: CodeSecrets) -> str:
    """Return the key under which it is counted how many codes to a number's neighbours get used."""
    return _key("conversion", secrets.pseudonym("prefix", _neighbours(mobile)))


def wrong_keys(address: str, secrets: CodeSecrets) -> list[str]:
    """Return the keys under which wrong codes are counted: by address, and by network."""
    subjects = {"address": canonical(address), "network": network_of(address)}
    return [_key(f"wrong:{name}", secrets.pseudonym(name, subject)) for name, subject in subjects.items()]


def _limits(settings: BudgetSettings, of_the_dial_code: Limit) -> str:
    limits = {
        "number": settings.code_limit_number,
        "dial_code": [of_the_dial_code],
        "address": settings.code_challenge_address,
        "network": settings.code_challenge_network,
        "prefix": settings.code_challenge_prefix,
        "global": settings.code_challenge_global,
    }
    return json.dumps([[name, name in _REFUSING, _pairs(limits[name])] for name in _BUDGETS])


def _pairs(limits: Iterable[Limit]) -> list[list[int]]:
    return [[limit.amount, limit.window_ms] for limit in limits]


def _key(name: str, subject: str) -> str:
    return f"code:budget:{name}:{subject}"


def _neighbours(mobile: str) -> str:
    return mobile[:-_NEIGHBOURS_DIGITS]


def _units(yuan: Decimal) -> int:
    return int(yuan * _UNITS_PER_YUAN)
