"""What every ledger holds to: run on the fake one by the unit tests, on the real one by the others."""

from datetime import timedelta
from decimal import Decimal

from services.sms.delivery.models import Acceptance, Attempt, Claim, Doubt, Record, Standing, Trace
from services.sms.provider.base import Ledger
from tests.support.clock import NOW

LATER = NOW + timedelta(seconds=10)
UNTRIED = Trace(0, NOW)
TRIED = Trace(2, NOW, "main", resent=True)


def attempt(token: str = "a", account: str = "main") -> Attempt:
    return Attempt(token, LATER, account)


def acceptance(sid: str = "7") -> Acceptance:
    return Acceptance("main", sid, LATER, 1, 1, Decimal("0.05"), "86", "138")


async def first(ledger: Ledger, message_id: str, token: str = "a", trace: Trace = UNTRIED) -> Record:
    return await ledger.claim(message_id, Claim.FIRST, attempt(token), trace)


async def a_new_message_may_be_sent(ledger: Ledger, message_id: str) -> None:
    record = await first(ledger, message_id)
    assert record == Record("attempting", 1, granted=True, doubt=None, resent=False)


async def a_repeated_command_grants_the_same_attempt(ledger: Ledger, message_id: str) -> None:
    assert await first(ledger, message_id) == await first(ledger, message_id)


async def an_attempt_without_an_end_is_a_doubt(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    record = await first(ledger, message_id, "b")
    assert record == Record("attempting", 1, granted=False, doubt=Doubt(LATER, "main"), resent=False)


async def an_announced_account_is_the_one_in_doubt(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    await ledger.announce(message_id, attempt(), "second")
    await ledger.announce(message_id, attempt("stranger"), "third")
    assert (await first(ledger, message_id, "b")).doubt == Doubt(LATER, "second")


async def trying_again_keeps_the_doubt_and_anew_begins_one(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    later = Attempt("b", LATER + timedelta(seconds=5), "main")
    again = await ledger.claim(message_id, Claim.AGAIN, later, UNTRIED)
    assert (again.granted, again.attempts) == (True, 2)
    assert (await first(ledger, message_id, "c")).doubt == Doubt(LATER, "main")
    anew = await ledger.claim(message_id, Claim.ANEW, Attempt("d", later.at, "second"), UNTRIED)
    assert (anew.granted, anew.attempts, anew.resent) == (True, 3, True)
    seen = await first(ledger, message_id, "e")
    assert (seen.doubt, seen.resent) == (Doubt(later.at, "second"), True)


async def looking_changes_nothing(ledger: Ledger, message_id: str) -> None:
    seen = await ledger.claim(message_id, Claim.LOOK, attempt(), UNTRIED)
    assert (seen.state, seen.granted, seen.doubt) == (None, False, None)
    assert (await first(ledger, message_id, "b")).attempts == 1


async def what_was_certainly_not_sent_may_be_sent(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    assert await ledger.stand(message_id, Standing("reserved", 1, "-51"), attempt()) == "reserved"
    assert await first(ledger, message_id, "b") == Record(
        "attempting", 2, granted=True, doubt=None, resent=False
    )


async def a_doubt_outlives_a_later_attempt(ledger: Ledger, message_id: str) -> None:
    doubt = Doubt(NOW, "main")
    await first(ledger, message_id)
    await ledger.stand(message_id, Standing("attempting", 1, "timeout", doubt), attempt())
    assert (await first(ledger, message_id, "b")).doubt == doubt


async def an_end_stays(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    assert await ledger.stand(message_id, Standing("limited", 1, "22"), attempt()) == "limited"
    assert await ledger.stand(message_id, Standing("failed", 1, "5"), attempt()) == "limited"
    seen = await first(ledger, message_id, "b")
    assert (seen.state, seen.granted) == ("limited", False)


async def an_earlier_attempt_has_no_say(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    await ledger.claim(message_id, Claim.AGAIN, attempt("b"), UNTRIED)
    assert await ledger.stand(message_id, Standing("limited", 1, "8"), attempt("a")) == "superseded"
    assert await ledger.stand(message_id, Standing("limited", 2, "8"), attempt("b")) == "limited"


async def an_acceptance_holds_whoever_brings_it(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    await ledger.claim(message_id, Claim.AGAIN, attempt("b"), UNTRIED)
    await ledger.stand(message_id, Standing("limited", 2, "8"), attempt("b"))
    assert await ledger.accept(message_id, acceptance())
    assert (await first(ledger, message_id, "c")).state == "accepted"


async def an_acceptance_without_a_number_gets_it_later(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    assert await ledger.accept(message_id, acceptance(""))
    assert await ledger.accept(message_id, acceptance("7"))
    assert await ledger.accept(message_id, acceptance("7"))
    assert await ledger.accept(message_id, acceptance(""))


async def a_second_number_is_a_second_text(ledger: Ledger, message_id: str) -> None:
    await first(ledger, message_id)
    assert await ledger.accept(message_id, acceptance("7"))
    assert not await ledger.accept(message_id, acceptance("8"))


async def a_lost_record_of_a_tried_message_is_a_doubt(ledger: Ledger, message_id: str) -> None:
    record = await first(ledger, message_id, "b", TRIED)
    assert record == Record(None, 2, granted=False, doubt=Doubt(NOW, "main"), resent=True)


async def a_lost_record_of_a_redelivered_message_is_a_doubt(ledger: Ledger, message_id: str) -> None:
    record = await first(ledger, message_id, "b", Trace(0, NOW, redelivered=True))
    assert (record.granted, record.doubt) == (False, Doubt(NOW, ""))


async def a_record_that_is_behind_its_message_is_a_doubt(ledger: Ledger, message_id: str) -> None:
    await ledger.stand(message_id, Standing("queued", 0))
    assert (await first(ledger, message_id, "b", TRIED)).doubt == Doubt(NOW, "main")


async def a_redelivered_message_that_was_never_tried_may_be_sent(ledger: Ledger, message_id: str) -> None:
    await ledger.stand(message_id, Standing("queued", 0))
    assert (await first(ledger, message_id, "b", Trace(0, NOW, redelivered=True))).granted


async def an_outcome_is_written_although_the_record_is_lost(ledger: Ledger, message_id: str) -> None:
    assert await ledger.stand(message_id, Standing("reserved", 1, "-51"), attempt()) == "reserved"
    assert await ledger.accept(message_id, acceptance())
    assert (await first(ledger, message_id, "b")).state == "accepted"


RULES = (
    a_new_message_may_be_sent,
    a_repeated_command_grants_the_same_attempt,
    an_attempt_without_an_end_is_a_doubt,
    an_announced_account_is_the_one_in_doubt,
    trying_again_keeps_the_doubt_and_anew_begins_one,
    looking_changes_nothing,
    what_was_certainly_not_sent_may_be_sent,
    a_doubt_outlives_a_later_attempt,
    an_end_stays,
    an_earlier_attempt_has_no_say,
    an_acceptance_holds_whoever_brings_it,
    an_acceptance_without_a_number_gets_it_later,
    a_second_number_is_a_second_text,
    a_lost_record_of_a_tried_message_is_a_doubt,
    a_lost_record_of_a_redelivered_message_is_a_doubt,
    a_record_that_is_behind_its_message_is_a_doubt,
    a_redelivered_message_that_was_never_tried_may_be_sent,
    an_outcome_is_written_although_the_record_is_lost,
)
