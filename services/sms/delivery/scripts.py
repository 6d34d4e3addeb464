"""The Lua scripts of the message records.

Each is safe to run twice: the client repeats a command whose answer was lost.
"""

from shared.contracts.message_status import OPEN_MESSAGES

_FINAL = """
local FINAL = {accepted = true, delivered = true, failed = true, expired = true, limited = true}
"""

# The index of records without a final state.
_INDEX = f"""
local function index(record, final)
  if final then return redis.call('ZREM', '{OPEN_MESSAGES}', record) end
  redis.call('ZADD', '{OPEN_MESSAGES}', 'NX', redis.call('TIME')[1], record)
end
"""

# Only an accepted message can be reported on. `delivered` replaces `failed` and never the reverse, so that
# the order of reports does not matter.
_APPLY = """
local function apply(record, status, code, at, now)
  local known = redis.call('HMGET', record, 'state', 'reported_at')
  local failed = known[1] == 'failed' and known[2]
  if known[1] ~= 'accepted' and not (failed and status == 'delivered') then return 0 end
  redis.call('HSET', record, 'state', status, 'detail', code, 'reported_at', at, 'updated_at', now)
  return 1
end
"""

# KEYS record; ARGV claim, token, now, account to call, the history's attempts, since, account, resent and
# redelivered, lifetime in seconds.
# Returns {granted, state, attempts, since, account, resent}; since is empty unless an outcome is unknown.
CLAIM = (
    _FINAL
    + _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'attempts', 'token', 'since', 'account', 'resent')
local state, attempts, token = known[1], tonumber(known[2] or 0), known[3]
local since, account, resent = known[4] or '', known[5] or '', known[6] or '0'
if token == ARGV[2] then return {1, state, attempts, '', '', resent} end
if state and FINAL[state] then return {0, state, attempts, '', '', resent} end
-- The message's history is ahead of the record: Redis has lost writes.
if attempts < tonumber(ARGV[5]) or (not state and ARGV[9] == '1') then
  attempts, since, account = tonumber(ARGV[5]), ARGV[6], ARGV[7]
end
if ARGV[8] == '1' then resent = '1' end
if ARGV[1] == 'read' or (ARGV[1] == 'first' and since ~= '') then
  return {0, state or '', attempts, since, account, resent}
end
if ARGV[1] ~= 'retry' then since, account = ARGV[3], ARGV[4] end
if ARGV[1] == 'resend' then resent = '1' end
attempts = attempts + 1
redis.call('HSET', KEYS[1], 'state', 'attempting', 'attempts', attempts, 'token', ARGV[2],
  'updated_at', ARGV[3], 'since', since, 'account', account, 'resent', resent)
redis.call('EXPIRE', KEYS[1], ARGV[10])
index(KEYS[1], false)
return {1, 'attempting', attempts, '', '', resent}
"""
)

# KEYS record; ARGV token, account.
RECORD_FAILOVER = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('HSET', KEYS[1], 'account', ARGV[2]) end
"""

# KEYS record; ARGV token or empty, state, attempts, detail, since, account, now, lifetime in seconds.
# Returns the state on record afterwards, or `superseded` where another attempt has begun since.
RECORD_OUTCOME = (
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
# Returns `accepted`, `known` where that was on record, or `twice` where the provider had accepted the
# message before under another sid; then the status, code and time of a report that came before, if any.
RECORD_ACCEPTANCE = (
    _APPLY
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
-- Looking up two messages with the same code can find the same text; its reports go to the first message.
redis.call('HSETNX', KEYS[2], 'message:' .. ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[10])
local reply = {'accepted'}
for _, account in ipairs({ARGV[2], ''}) do
  local report = redis.call('HGET', KEYS[2], 'report:' .. account)
  if report then
    local status, at, code = string.match(report, '^(%S+) (%S+) (.*)$')
    if apply(KEYS[1], status, code, at, ARGV[4]) == 1 then reply = {'accepted', status, code, at} end
    redis.call('HDEL', KEYS[2], 'report:' .. account)
  end
end
return reply
"""
)

# KEYS record; ARGV now, lifetime in seconds. Returns the state on record afterwards.
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

# KEYS the sid of each report; ARGV account or empty, now, prefix of a record's key, seconds to keep a report
# of an unknown message, then status, time and code of each report.
# Returns for each {known, applied, accepted at, dial code, prefix}.
APPLY_REPORTS = (
    _APPLY
    + """
-- A push does not name its account. Sids seem to be unique to Yunpian, not to the account; if two accounts
-- share one, the message is ambiguous and the report is kept.
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

local function keep(sid, status, at, code)
  local field = 'report:' .. ARGV[1]
  local known = redis.call('HGET', sid, field)
  if known and string.find(known, 'delivered', 1, true) == 1 then return end
  redis.call('HSET', sid, field, status .. ' ' .. at .. ' ' .. code)
  if redis.call('TTL', sid) < 0 then redis.call('EXPIRE', sid, ARGV[4]) end
end

local replies = {}
for i, sid in ipairs(KEYS) do
  local status, at, code = ARGV[3 * i + 2], ARGV[3 * i + 3], ARGV[3 * i + 4]
  local id = find(sid)
  if id then
    local record = ARGV[3] .. id
    local applied = apply(record, status, code, at, ARGV[2])
    local known = redis.call('HMGET', record, 'accepted_at', 'dial_code', 'prefix')
    replies[i] = {1, applied, known[1] or '', known[2] or '', known[3] or ''}
  else
    keep(sid, status, at, code)
    replies[i] = {0, 0, '', '', ''}
  end
end
return replies
"""
)
