"""The quotas that a code is charged to, and what happens when one is used up."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

from services.auth.keyed_hash import KeyedHash
from services.auth.limit_settings import QuotaSettings
from services.auth.limits import Limit, of_dial_code
from services.auth.networks import account_address, trusted_address_key
from shared.networks import canonical, network_of, site_of
from shared.phone import dial_code

_SUBSCRIBER_DIGITS = 4
# Prices count in ten-thousandths of a yuan, so that Redis adds whole numbers.
_UNITS_PER_YUAN = 10_000

# In the order in which they are checked. Above its limits a quota refuses, above its thresholds it asks for
# a challenge. They do not hold for addresses that the number's account trusts.
_IPV4_QUOTAS = ("strangers", "address", "network", "prefix", "global")
_IPV6_QUOTAS = ("strangers", "address", "network", "site", "prefix", "global")

# How often the work of a challenge doubles at most. All quotas have thresholds in common with innocent
# people, the global one with everybody.
_HARDEST = {"strangers": 6, "address": 8, "network": 8, "site": 8, "prefix": 8, "global": 2}
# Of a number, each further code doubles it; elsewhere as many codes as the threshold allows.
_STEPS = {"strangers": 1}


@dataclass(frozen=True, slots=True)
class Charge:
    """What the issuing script takes for one request: Redis keys, names of the asker, and rules as JSON.

    Attributes:
        spend_key: of the money spent.
        conversion_key: of the prefix.
        trusted_key: exists while the number's account trusts the address.
        own_key: of the codes to the number for the address.
        dial_code_key: of the codes to the dial code.
        resends_key: of the codes that are sent again to those who asked for them.
        quota_keys: of the other quotas.
        askers: names of the address and of its network.
        rules: prices, limits and thresholds.
    """

    spend_key: str
    conversion_key: str
    trusted_key: str
    own_key: str
    dial_code_key: str
    resends_key: str
    quota_keys: list[str]
    askers: tuple[str, str]
    rules: str


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas, from the settings.

    Attributes:
        ipv4_rules: the rules of addresses of IPv4 by dial code, as the issuing script takes them.
        ipv6_rules: those of IPv6.
        wrong: the limits of wrong codes, as the redeeming script takes them.
    """

    ipv4_rules: Mapping[str, str]
    ipv6_rules: Mapping[str, str]
    wrong: str

    @classmethod
    def of(cls, settings: QuotaSettings) -> Self:
        """Return the quotas of the settings."""
        codes = settings.code_limit_dial_code.keys() | settings.code_price.keys()
        wrong = [_quota(limits) for limits in (settings.code_wrong_address, settings.code_wrong_network)]
        return cls(
            ipv4_rules={code: _compact(_rules(settings, code, _IPV4_QUOTAS)) for code in codes},
            ipv6_rules={code: _compact(_rules(settings, code, _IPV6_QUOTAS)) for code in codes},
            wrong=_compact(wrong),
        )

    def charge(self, mobile: str, address: str, keyed_hash: KeyedHash) -> Charge:
        """Return the charge of a code to a number that an address asks for."""
        code, site = dial_code(mobile), site_of(address)
        number, prefix = keyed_hash.name("number", mobile), keyed_hash.name("prefix", _prefix(mobile))
        names = {
            "strangers": number,
            "address": keyed_hash.name("address", canonical(address)),
            "network": keyed_hash.name("network", network_of(address)),
            "prefix": prefix,
            "global": keyed_hash.name("global", ""),
        }
        if site is not None:
            names["site"] = keyed_hash.name("site", site)
        askers = askers_of(mobile, address, keyed_hash)
        return Charge(
            spend_key=_key("spend", keyed_hash.name("spend", "")),
            conversion_key=_key("conversion", prefix),
            trusted_key=trusted_address_key(mobile, address, keyed_hash),
            own_key=_key("number", f"{number}:{askers[0]}"),
            dial_code_key=_key("dial_code", keyed_hash.name("dial_code", code)),
            resends_key=_key("resends", number),
            quota_keys=[_quota_key(name, names[name]) for name in (_IPV6_QUOTAS if site else _IPV4_QUOTAS)],
            askers=askers,
            rules=of_dial_code(self.ipv6_rules if site else self.ipv4_rules, code),
        )


def conversion_key(mobile: str, keyed_hash: KeyedHash) -> str:
    """Return the key of the counters of a prefix: codes requested, and codes used."""
    return _key("conversion", keyed_hash.name("prefix", _prefix(mobile)))


def askers_of(mobile: str, address: str, keyed_hash: KeyedHash) -> tuple[str, str]:
    """Return what stands for an address, hashed with the number, and for its network."""
    return account_address(mobile, address, keyed_hash), keyed_hash.name("network", network_of(address))


def wrong_keys(address: str, keyed_hash: KeyedHash) -> list[str]:
    """Return the keys of the counters of wrong codes: of the address, and of its network."""
    subjects = {"address": canonical(address), "network": network_of(address)}
    return [_key(f"wrong:{name}", keyed_hash.name(name, subject)) for name, subject in subjects.items()]


def _rules(settings: QuotaSettings, dial_code: str, names: Iterable[str]) -> dict[str, Any]:
    share, spend = 1 - settings.code_reserve, _units(settings.code_limit_spend)
    return {
        "price": _units(of_dial_code(settings.code_price, dial_code)),
        "spend": spend,
        "unreserved": math.floor(spend * share),
        "dial_code": {**_quota([of_dial_code(settings.code_limit_dial_code, dial_code)]), "share": share},
        "own": _quota(settings.code_limit_number),
        "again": min(limit.amount for limit in settings.code_limit_number),
        "quotas": [_named_quota(settings, name) for name in names],
        # The first refuses.
        "conversion": [
            [settings.code_limit_volume, settings.code_limit_conversion],
            [settings.code_challenge_volume, settings.code_challenge_conversion],
        ],
    }


def _named_quota(settings: QuotaSettings, name: str) -> list[Any]:
    """Return name, limits, what is kept of the charges, thresholds, hardest challenge and step of a quota."""
    limits = {
        "strangers": settings.code_limit_strangers,
        "address": settings.code_limit_address,
        "network": settings.code_limit_network,
        "site": settings.code_limit_network,
        "prefix": settings.code_limit_prefix,
        "global": (),
    }
    challenge = {
        "strangers": settings.code_challenge_number,
        "address": settings.code_challenge_address,
        "network": settings.code_challenge_network,
        "site": settings.code_challenge_network,
        "prefix": settings.code_challenge_prefix,
        "global": settings.code_challenge_global,
    }
    pairs, thresholds = _pairs(limits[name]), _pairs(challenge[name])
    lengths = [amount for amount, _ in pairs]
    lengths += [(_HARDEST[name] + 1) * amount for amount, _ in thresholds]
    kept = [max(lengths), _longest(pairs + thresholds)]
    return [name, pairs, kept, thresholds, _HARDEST[name], _STEPS.get(name, 0)]


def _quota(limits: Iterable[Limit]) -> dict[str, Any]:
    """Return limits with how many charges have to be kept, and for how many ms, to check them."""
    pairs = _pairs(limits)
    return {"limits": pairs, "kept": [max(amount for amount, _ in pairs), _longest(pairs)]}


def _longest(pairs: Iterable[list[int]]) -> int:
    return max(window for _, window in pairs)


def _compact(rules: object) -> str:
    return json.dumps(rules, separators=(",", ":"))


def _pairs(limits: Iterable[Limit]) -> list[list[int]]:
    return [[limit.amount, limit.window_ms] for limit in limits]


def _quota_key(name: str, subject: str) -> str:
    # The quota of strangers was that of everybody before.
    return _key("number" if name == "strangers" else name, subject)


def _key(name: str, subject: str) -> str:
    return f"code:budget:{name}:{subject}"


def _prefix(mobile: str) -> str:
    return mobile[:-_SUBSCRIBER_DIGITS]


def _units(yuan: Decimal) -> int:
    return int(yuan * _UNITS_PER_YUAN)
