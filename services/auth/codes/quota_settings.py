"""The settings of the budgets for codes; their product defaults are those of a small operator."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from services.auth.limits import Limit, Limits, by_dial_code, parse_limits
from shared.settings import ServiceSettings


def _one_limit(text: str) -> Limit:
    (limit,) = parse_limits(text)
    return limit


def _positive_limit(text: str) -> Limit:
    limit = _one_limit(text)
    if limit.amount == 0:
        raise ValueError(text)
    return limit


def _price(text: str) -> Decimal:
    price = Decimal(text) if text.replace(".", "", 1).isdecimal() else None
    if price is None:
        raise ValueError(text)
    return price


_LimitByDialCode = Annotated[Mapping[str, Limit], NoDecode, BeforeValidator(by_dial_code(_one_limit))]
_Rate = Annotated[Limit, NoDecode, BeforeValidator(_positive_limit)]
_PriceByDialCode = Annotated[Mapping[str, Decimal], NoDecode, BeforeValidator(by_dial_code(_price))]


class BudgetSettings(ServiceSettings):
    """What codes may cost, from where on asking for one takes a solved challenge, and what may fail."""

    code_limit_number: Limits = Field(
        "3/hour,5/day",
        validate_default=True,
        description="codes to one number, such as 3/hour,5/day; more are refused",
    )
    code_limit_dial_code: _LimitByDialCode = Field(
        "86=20000/day,*=500/day",
        validate_default=True,
        description="codes to one dial code, such as 86=20000/day,*=500/day; more are refused",
    )
    code_limit_spend: Annotated[Decimal, Field(ge=0)] = Field(
        Decimal(1000), description="RMB that the codes of 24 hours may cost; beyond it all are refused"
    )
    code_price: _PriceByDialCode = Field(
        "86=0.05,*=0.6",
        validate_default=True,
        description="RMB that one code costs by dial code, such as 86=0.05,*=0.6",
    )
    code_challenge_address: Limits = Field(
        "10/10minutes,60/day",
        validate_default=True,
        description="codes that one address gets without a challenge, such as 10/10minutes",
    )
    code_challenge_network: Limits = Field(
        "50/10minutes,300/day",
        validate_default=True,
        description="codes that one IPv4 /24 or IPv6 /64 gets without a challenge, such as 50/10minutes",
    )
    code_challenge_prefix: Limits = Field(
        "20/hour",
        validate_default=True,
        description="codes that 10000 neighbouring numbers get without a challenge, such as 20/hour",
    )
    code_challenge_global: Limits = Field(
        "600/minute",
        validate_default=True,
        description="codes that all together get without a challenge, such as 600/minute",
    )
    code_challenge_conversion: Annotated[float, Field(ge=0, le=1)] = Field(
        0.2,
        description="the part of a prefix's codes that must get used in a day, 0 to 1; "
        "below it a challenge is asked",
    )
    code_challenge_volume: Annotated[int, Field(ge=1)] = Field(
        20, description="codes to a prefix in a day before its conversion is looked at, 1 or more"
    )
    challenge_cost: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        5000,
        description="PBKDF2 iterations of one try at a challenge, of which 256 are needed on average",
    )

    code_wrong_address: Limits = Field(
        "300/hour",
        validate_default=True,
        description="wrong codes from one address before it has to wait, such as 300/hour",
    )
    code_wrong_network: Limits = Field(
        "1000/hour",
        validate_default=True,
        description="wrong codes from one IPv4 /24 or IPv6 /64 before it has to wait, such as 1000/hour",
    )
    sign_in_limit_account: _Rate = Field(
        "10/hour",
        validate_default=True,
        description="failed sign-ins to an account before the next has to wait, such as 10/hour",
    )
    sign_in_limit_address: _Rate = Field(
        "100/hour",
        validate_default=True,
        description="failed sign-ins from an address before the next has to wait, such as 100/hour",
    )
    sign_in_limit_network: _Rate = Field(
        "300/hour",
        validate_default=True,
        description="failed sign-ins from an IPv4 /24 or IPv6 /64 before the next has to wait",
    )
