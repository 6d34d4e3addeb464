"""Status reports in Redis: applied to the ledger, or kept for a message that is not on record yet."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import cast

from redis.asyncio import Redis

from services.sms.delivery.scripts import APPLY
from services.sms.reports.service import Reported, StatusReport
from shared.clock import now
from shared.contracts.message_status import record_key

# A report of an unknown message waits so long for it.
_WAITING_SECONDS = 3600

# KEYS the sid of each report; ARGV account or nothing, now, prefix of a record's key, lifetime of a report
# that waits, then outcome, time and code of each report.
# Returns for each {known, applied, accepted at, dial code, prefix}.
_REPORT = (
    APPLY
    + """
-- A push does not say whose it is. Sids are Yunpian's and not the account's, as far as anybody knows; should
-- two accounts have one in common, nobody can tell which message is meant.
local function find(sid)
  if ARGV[1] ~= '' then return redis.call('HGET', sid, 'message:' .. ARGV[1]) end
  local fields, found = redis.call('HGETALL', sid), nil
  for i = 1, #fields, 2 do
    if string.find(fields[i], 'message:', 1, true) == 1 then
      if found then return nil end
      found = fields[i + 1]
    end
  end
  return found
end

local function keep(sid, outcome, at, code)
  local field = 'report:' .. ARGV[1]
  local known = redis.call('HGET', sid, field)
  if known and string.find(known, 'delivered', 1, true) == 1 then return end
  redis.call('HSET', sid, field, outcome .. ' ' .. at .. ' ' .. code)
  if redis.call('TTL', sid) < 0 then redis.call('EXPIRE', sid, ARGV[4]) end
end

local replies = {}
for i, sid in ipairs(KEYS) do
  local outcome, at, code = ARGV[3 * i + 2], ARGV[3 * i + 3], ARGV[3 * i + 4]
  local id = find(sid)
  if id then
    local record = ARGV[3] .. id
    local applied = apply(record, outcome, code, at, ARGV[2])
    local known = redis.call('HMGET', record, 'accepted_at', 'dial_code', 'prefix')
    replies[i] = {1, applied, known[1] or '', known[2] or '', known[3] or ''}
  else
    keep(sid, outcome, at, code)
    replies[i] = {0, 0, '', '', ''}
  end
end
return replies
"""
)

_Reply = tuple[int, int, bytes, bytes, bytes]


class RedisReportBook:
    """Stores reports; raises one of `shared.redis.client.REDIS_FAILURES` where Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._report = redis.register_script(_REPORT)

    async def report(self, reports: Sequence[StatusReport], account: str) -> Sequence[Reported]:
        """Store all of them or none, in one script; in any order and any number of times alike."""
        args: list[str | int] = [account, now().isoformat(), record_key(""), _WAITING_SECONDS]
        for report in reports:
            args += [report.outcome, report.at.isoformat(), report.code]
        replies = self._report([sid_key(report.sid) for report in reports], args)
        return [_reported(*reply) for reply in await cast("Awaitable[list[_Reply]]", replies)]


def sid_key(sid: str) -> str:
    """Return the name of the index from a provider's number to its message, by account."""
    return f"sms:sid:{sid}"


def _reported(known: int, applied: int, accepted_at: bytes, dial_code: bytes, prefix: bytes) -> Reported:
    return Reported(
        known=bool(known),
        applied=bool(applied),
        accepted_at=datetime.fromisoformat(accepted_at.decode()) if accepted_at else None,
        dial_code=dial_code.decode(),
        prefix=prefix.decode(),
    )
