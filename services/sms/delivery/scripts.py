"""The ledger's Lua scripts. Each may run twice: the client repeats a command whose answer it lost."""

from shared.contracts.message_status import OPEN_MESSAGES

_FINAL = """
local FINAL = {accepted = true, delivered = true, failed = true, expired = true, limited = true}
"""

# The index of records without an end.
_INDEX = f"""
local function index(record, ended)
  if ended then return redis.call('ZREM', '{OPEN_MESSAGES}', record) end
  redis.call('ZADD', '{OPEN_MESSAGES}', 'NX', redis.call('TIME')[1], record)
end
"""

# Only what the provider has accepted can be reported on. A delivery is never taken back, a failure is,
# so that the order in which reports come does not matter.
APPLY = """
local function apply(record, outcome, code, at, now)
  local known = redis.call('HMGET', record, 'state', 'reported_at')
  local failed = known[1] == 'failed' and known[2]
  if known[1] ~= 'accepted' and not (failed and outcome == 'delivered') then return 0 end
  redis.call('HSET', record, 'state', outcome, 'detail', code, 'reported_at', at, 'updated_at', now)
  return 1
end
"""

# KEYS record; ARGV claim, token, now, account to call, the trace's attempts, since, account, resent and
# redelivered, lifetime in seconds.
# Returns {granted, state, attempts, since, account, resent}; since is empty where nothing is in doubt.
CLAIM = (
    _FINAL
    + _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'attempts', 'token', 'since', 'account', 'resent')
local state, attempts, token = known[1], tonumber(known[2] or 0), known[3]
local since, account, resent = known[4] or '', known[5] or '', known[6] or '0'
if token == ARGV[2] then return {1, state, attempts, '', '', resent} end
if state and FINAL[state] then return {0, state, attempts, '', '', resent} end
-- The message knows more than the record: Redis has lost what it was told.
if attempts < tonumber(ARGV[5]) or (not state and ARGV[9] == '1') then
  attempts, since, account = tonumber(ARGV[5]), ARGV[6], ARGV[7]
end
if ARGV[8] == '1' then resent = '1' end
if ARGV[1] == 'look' or (ARGV[1] == 'first' and since ~= '') then
  return {0, state or '', attempts, since, account, resent}
end
if ARGV[1] ~= 'again' then since, account = ARGV[3], ARGV[4] end
if ARGV[1] == 'anew' then resent = '1' end
attempts = attempts + 1
redis.call('HSET', KEYS[1], 'state', 'attempting', 'attempts', attempts, 'token', ARGV[2],
  'updated_at', ARGV[3], 'since', since, 'account', account, 'resent', resent)
redis.call('EXPIRE', KEYS[1], ARGV[10])
index(KEYS[1], false)
return {1, 'attempting', attempts, '', '', resent}
"""
)

# KEYS record; ARGV token, account.
ANNOUNCE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'account', ARGV[2]) end
"""

# KEYS record; ARGV token or nothing, state, attempts, detail, since, account, now, lifetime in seconds.
# Returns the state that holds afterwards, or `superseded` where another attempt has begun since.
STAND = (
    _FINAL
    + _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'token')
if known[1] and FINAL[known[1]] then return known[1] end
if known[1] and ARGV[1] ~= '' and known[2] ~= ARGV[1] then return 'superseded' end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'attempts', ARGV[3], 'detail', ARGV[4],
  'since', ARGV[5], 'account', ARGV[6], 'updated_at', ARGV[7])
redis.call('EXPIRE', KEYS[1], ARGV[8])
index(KEYS[1], FINAL[ARGV[2]])
return ARGV[2]
"""
)

# KEYS record, sid; ARGV message id, account, sid, now, attempts, parts, fee, dial code, prefix,
# lifetime in seconds.
# Returns `accepted`, `known` where that was on record, or `twice` where the provider has accepted the
# message before under another sid; then the outcome, code and time of a report that was waiting.
ACCEPT = (
    APPLY
    + _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'sid')
local state, sid = known[1], known[2]
if sid and sid == ARGV[3] then return {'known'} end
if sid and sid ~= '' then return {ARGV[3] == '' and 'known' or 'twice'} end
if state == 'accepted' and ARGV[3] == '' then return {'known'} end
redis.call('HSET', KEYS[1], 'state', 'accepted', 'account', ARGV[2], 'sid', ARGV[3], 'accepted_at', ARGV[4],
  'updated_at', ARGV[4], 'attempts', ARGV[5], 'parts', ARGV[6], 'fee', ARGV[7], 'dial_code', ARGV[8],
  'prefix', ARGV[9], 'detail', '', 'since', '')
redis.call('EXPIRE', KEYS[1], ARGV[10])
index(KEYS[1], true)
if ARGV[3] == '' then return {'accepted'} end
-- Two messages with the same code can find the same text; its reports go to the first one.
redis.call('HSETNX', KEYS[2], 'message:' .. ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[10])
local reply = {'accepted'}
for _, account in ipairs({ARGV[2], ''}) do
  local report = redis.call('HGET', KEYS[2], 'report:' .. account)
  if report then
    local outcome, at, code = string.match(report, '^(%S+) (%S+) (.*)$')
    if apply(KEYS[1], outcome, code, at, ARGV[4]) == 1 then reply = {'accepted', outcome, code, at} end
    redis.call('HDEL', KEYS[2], 'report:' .. account)
  end
end
return reply
"""
)

# KEYS record; ARGV now, lifetime in seconds. Returns the state that holds afterwards.
REOPEN = (
    _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'sid')
local state, sid = known[1], known[2]
if state and state ~= 'failed' and state ~= 'limited' and state ~= 'expired' then return state end
if sid and sid ~= '' then return state end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'queued', 'updated_at', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
index(KEYS[1], false)
return 'queued'
"""
)
