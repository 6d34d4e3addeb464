"""The ledger's Lua scripts. Each may run twice: the client repeats a command whose answer it lost."""

_FINAL = """
local FINAL = {accepted = true, delivered = true, failed = true, expired = true, limited = true}
"""

# Only what the provider has accepted can be reported on, once.
_APPLY = """
local function apply(record, outcome, code, at, now)
  if redis.call('HGET', record, 'state') ~= 'accepted' then return 0 end
  redis.call('HSET', record, 'state', outcome, 'detail', code, 'reported_at', at, 'updated_at', now)
  return 1
end
"""

# KEYS record; ARGV claim, token, now, account to call, the trace's attempts, since, account, resent and
# redelivered, lifetime in seconds.
# Returns {granted, state, attempts, since, account, resent}; since is empty where nothing is in doubt.
CLAIM = (
    _FINAL
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
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'token')
if known[1] and FINAL[known[1]] then return known[1] end
if known[1] and ARGV[1] ~= '' and known[2] ~= ARGV[1] then return 'superseded' end
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'attempts', ARGV[3], 'detail', ARGV[4],
  'since', ARGV[5], 'account', ARGV[6], 'updated_at', ARGV[7])
redis.call('EXPIRE', KEYS[1], ARGV[8])
return ARGV[2]
"""
)

# KEYS record, sid; ARGV message id, account, sid, now, attempts, parts, fee, dial code, prefix,
# lifetime in seconds.
# Returns `accepted`, `known` where that was on record, or `twice` where the provider has accepted the
# message before under another sid; then the outcome and the time of a report that had been waiting.
ACCEPT = (
    _APPLY
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
if ARGV[3] == '' then return {'accepted'} end
local report = redis.call('HMGET', KEYS[2], 'outcome', 'code', 'at')
redis.call('HSET', KEYS[2], 'message_id', ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[10])
if not report[1] then return {'accepted'} end
apply(KEYS[1], report[1], report[2], report[3], ARGV[4])
return {'accepted', report[1], report[3]}
"""
)

# KEYS sid; ARGV outcome, code, at, now, prefix of a record's key, lifetime of a report in seconds.
# Returns {known, applied, message id, accepted at, dial code, prefix}.
REPORT = (
    _APPLY
    + """
local id = redis.call('HGET', KEYS[1], 'message_id')
if not id then
  local new = redis.call('HSETNX', KEYS[1], 'outcome', ARGV[1])
  if new == 1 then
    redis.call('HSET', KEYS[1], 'code', ARGV[2], 'at', ARGV[3])
    redis.call('EXPIRE', KEYS[1], ARGV[6])
  end
  return {0, 0, '', '', '', ''}
end
local record = ARGV[5] .. id
local applied = apply(record, ARGV[1], ARGV[2], ARGV[3], ARGV[4])
local known = redis.call('HMGET', record, 'accepted_at', 'dial_code', 'prefix')
return {1, applied, id, known[1] or '', known[2] or '', known[3] or ''}
"""
)

# KEYS record; ARGV now, lifetime in seconds. Returns the state that holds afterwards.
REOPEN = """
local known = redis.call('HMGET', KEYS[1], 'state', 'sid')
local state, sid = known[1], known[2]
if state and state ~= 'failed' and state ~= 'limited' and state ~= 'expired' then return state end
if sid and sid ~= '' then return state end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'queued', 'updated_at', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 'queued'
"""
