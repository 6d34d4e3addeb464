"""The settings of quotas, limits and rates; the defaults are those of a small operator."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from services.auth.limits import LimitByDialCode, Limits, PriceByDialCode, Rate
from shared.settings import ServiceSettings


class QuotaSettings(ServiceSettings):
    """Quotas of codes and money, thresholds of challenges, and limits of failed attempts."""

    code_limit_number: Limits = Field(
        "3/hour,5/day",
        validate_default=True,
        description="codes to one number that one address gets, such as 3/hour,5/day; more are refused",
    )
    code_limit_strangers: Limits = Field(
        "10/hour,20/day",
        validate_default=True,
        description="codes to one number that all addresses which it does not trust get together, such as "
        "10/hour,20/day; more are refused",
    )
    code_limit_address: Limits = Field(
        "60/10minutes,300/day",
        validate_default=True,
        description="codes that one address gets, even with solved challenges, such as 60/10minutes",
    )
    code_limit_network: Limits = Field(
        "200/10minutes,1200/day",
        validate_default=True,
        description="codes that one IPv4 /24, IPv6 /64 or IPv6 /48 gets, even with solved challenges, such "
        "as 200/10minutes",
    )
    code_limit_prefix: Limits = Field(
        "100/hour,300/day",
        validate_default=True,
        description="codes that 10000 neighbouring numbers get, even with solved challenges, such as "
        "100/hour",
    )
    code_limit_dial_code: LimitByDialCode = Field(
        "86=20000/day,*=500/day",
        validate_default=True,
        description="codes to one dial code, such as 86=20000/day,*=500/day; more are refused",
    )
    code_limit_spend: Annotated[Decimal, Field(ge=0)] = Field(
        Decimal(1000), description="RMB that the codes of 24 hours may cost; beyond it all are refused"
    )
    code_limit_conversion: Annotated[float, Field(ge=0, le=1)] = Field(
        0.05,
        description="the part of a prefix's codes that must get used in a day, 0 to 1; below it codes are "
        "refused, also with a solved challenge",
    )
    code_limit_volume: Annotated[int, Field(ge=1)] = Field(
        100, description="codes to a prefix in a day before codes are refused for its conversion, 1 or more"
    )
    code_reserve: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.3,
        description="the part of CODE_LIMIT_SPEND and CODE_LIMIT_DIAL_CODE that is kept for trusted "
        "addresses and numbers with an account, 0 to 0.9",
    )
    code_price: PriceByDialCode = Field(
        "86=0.05,*=0.6",
        validate_default=True,
        description="RMB that one code costs by dial code, such as 86=0.05,*=0.6",
    )
    code_challenge_number: Limits = Field(
        "3/hour,5/day",
        validate_default=True,
        description="codes to one number that all addresses which it does not trust get together without a "
        "challenge, such as 3/hour,5/day",
    )
    code_challenge_address: Limits = Field(
        "10/10minutes,60/day",
        validate_default=True,
        description="codes that one address gets without a challenge, such as 10/10minutes",
    )
    code_challenge_network: Limits = Field(
        "50/10minutes,300/day",
        validate_default=True,
        description="codes that one IPv4 /24, IPv6 /64 or IPv6 /48 gets without a challenge, such as "
        "50/10minutes",
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
        description="PBKDF2 iterations of one try at a challenge, of which 256 are needed on average; each "
        "overrun of a CODE_CHALLENGE_* quota doubles the work",
    )

    code_wrong_address: Limits = Field(
        "300/hour",
        validate_default=True,
        description="wrong codes from one address before it has to wait, such as 300/hour; whoever asked "
        "for the code does not",
    )
    code_wrong_network: Limits = Field(
        "1000/hour",
        validate_default=True,
        description="wrong codes from one IPv4 /24 or IPv6 /64 before it has to wait, such as 1000/hour",
    )
    sign_in_limit_account: Rate = Field(
        "10/hour",
        validate_default=True,
        description="failed sign-ins to an account before the next has to wait, such as 10/hour",
    )
    sign_in_limit_address: Rate = Field(
        "100/hour",
        validate_default=True,
        description="failed sign-ins from an address before the next has to wait, such as 100/hour",
    )
    sign_in_limit_network: Rate = Field(
        "300/hour",
        validate_default=True,
        description="failed sign-ins from an IPv4 /24 or IPv6 /64 before the next has to wait",
    )
    sign_in_limit_newcomers: Rate = Field(
        "30/hour",
        validate_default=True,
        description="failed sign-ins to an account that has to wait, each from another IPv4 /24 or IPv6 /48, "
        "before it waits for those, too",
    )
    sign_in_checks_account: Rate = Field(
        "300/hour",
        validate_default=True,
        description="checks of an account's password, right or wrong, before the next has to wait",
    )
    sign_in_checks_address: Rate = Field(
        "3000/hour",
        validate_default=True,
        description="checks of passwords from one address, right or wrong, before the next has to wait",
    )
    checks_in_progress_account: Annotated[int, Field(ge=1)] = Field(
        2,
        description="passwords, and solutions of challenges, of an account that a process checks at a time, "
        "1 or more; beyond it 429",
    )
    checks_in_progress_address: Annotated[int, Field(ge=1)] = Field(
        4,
        description="passwords, and solutions of challenges, from an IPv4 address or IPv6 /64 that a process "
        "checks at a time, 1 or more; beyond it 429",
    )


class ChangeSettings(ServiceSettings):
    """Limits of what signed-in users do."""

    change_limit_session: Limits = Field(
        "120/minute,600/hour,2000/day",
        validate_default=True,
        description="changes that one session may make, such as 120/minute; more have to wait",
    )
    change_limit_account: Limits = Field(
        "300/minute,1500/hour,4000/day",
        validate_default=True,
        description="changes that all sessions of an account may make, such as 300/minute; more have to wait",
    )
    refresh_limit: Limits = Field(
        "120/minute",
        validate_default=True,
        description="refreshes of one session from one network at each replica, such as 120/minute",
    )
