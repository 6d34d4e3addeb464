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

# KEYS record, text or none; ARGV claim, token, now, account to call, the history's attempts, since, account,
# resent and redelivered, lifetime in seconds, dial code, prefix, message id, seconds to keep the text.
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
  'updated_at', ARGV[3], 'since', since, 'account', account, 'resent', resent,
  'dial_code', ARGV[11], 'prefix', ARGV[12])
redis.call('EXPIRE', KEYS[1], ARGV[10])
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[13], 'EX', ARGV[14], 'NX') end
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

# KEYS record, sid, text or none; ARGV message id, account, sid, now, attempts, parts, fee, dial code, prefix,
# lifetime in seconds, seconds to keep the text, prefix of a record's key.
# Returns `accepted`, `known` where that was on record, or `twice` where the provider had accepted the
# message before under another sid; then the status, code and time of a report that came before, if any.
RECORD_ACCEPTANCE = (
    _APPLY
    + _INDEX
    + """
local known = redis.call('HMGET', KEYS[1], 'state', 'sid')
local state, sid = known[1], known[2]
if sid and sid == ARGV[3] then
  -- A report that came by the message's id has recorded the acceptance without its price.
  redis.call('HSETNX', KEYS[1], 'parts', ARGV[6])
  redis.call('HSETNX', KEYS[1], 'fee', ARGV[7])
  return {'known'}
end
if sid and sid ~= '' then return {ARGV[3] == '' and 'known' or 'twice'} end
if state == 'accepted' and ARGV[3] == '' then return {'known'} end
redis.call('HSET', KEYS[1], 'state', 'accepted', 'account', ARGV[2], 'sid', ARGV[3], 'accepted_at', ARGV[4],
  'updated_at', ARGV[4], 'attempts', ARGV[5], 'parts', ARGV[6], 'fee', ARGV[7], 'dial_code', ARGV[8],
  'prefix', ARGV[9], 'detail', '', 'since', '')
redis.call('EXPIRE', KEYS[1], ARGV[10])
index(KEYS[1], true)
if KEYS[3] then redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[11]) end
if ARGV[3] == '' then return {'accepted'} end
local first = redis.call('HSETNX', KEYS[2], 'message:' .. ARGV[2], ARGV[1]) == 0
  and redis.call('HGET', KEYS[2], 'message:' .. ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[10])
local reply = {'accepted'}
if first and first ~= ARGV[1] then
  -- Two messages share a text, such as a code that was asked for again: its reports go to both.
  local others = redis.call('HGET', KEYS[2], 'others:' .. ARGV[2])
  redis.call('HSET', KEYS[2], 'others:' .. ARGV[2], (others and others .. ' ' or '') .. ARGV[1])
  local known = redis.call('HMGET', ARGV[12] .. first, 'state', 'detail', 'reported_at')
  if known[3] then apply(KEYS[1], known[1], known[2], known[3], ARGV[4]) end
end
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

# KEYS text; ARGV message id, prefix of a record's key.
# Returns nothing, or {state, account, sid} of another message with the text that was or may be accepted.
FIND_SENT_TEXT = """
local id = redis.call('GET', KEYS[1])
if not id or id == ARGV[1] then return {} end
local known = redis.call('HMGET', ARGV[2] .. id, 'state', 'account', 'sid', 'accepted_at')
if known[1] ~= 'attempting' and not known[4] then return {} end
return {known[1], known[2] or '', known[3] or ''}
"""

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
# of an unknown message, lifetime in seconds, then status, time, code and uid of each report.
# Returns for each {known, applied, accepted at, dial code, prefix, recovered}.
APPLY_REPORTS = (
    _APPLY
    + _INDEX
    + """
local NO_SID = 'sms:sid:'

-- A push does not name its account. Sids seem to be unique to Yunpian, not to the account; if two accounts
-- share one, the message is ambiguous and the report is kept.
local function find(sid)
  if sid == NO_SID then return nil end
  if ARGV[1] ~= '' then return redis.call('HGET', sid, 'message:' .. ARGV[1]), ARGV[1] end
  local fields, found, account = redis.call('HGETALL', sid), nil, nil
  for i = 1, #fields, 2 do
    if string.find(fields[i], 'message:', 1, true) == 1 then
      if found then return nil end
      found, account = fields[i + 1], string.sub(fields[i], 9)
    end
  end
  return found, account
end

-- The uid is the id of our message, which was sent along. A report that has it proves that the message was
-- accepted, although the answer, which tells the sid, was lost, or is still on its way. Returns the message,
-- or nil, and whether the acceptance was not on record.
local function recover(key, uid, account)
  local record = ARGV[3] .. uid
  local known = redis.call('HMGET', record, 'state', 'sid', 'account', 'since', 'updated_at')
  local state, sid = known[1], known[2] or ''
  if not state then return nil end
  if account == '' then account = known[3] or '' end
  if key ~= NO_SID then
    redis.call('HSETNX', key, 'message:' .. account, uid)
    redis.call('EXPIRE', key, ARGV[5])
    if sid == '' then redis.call('HSET', record, 'sid', string.sub(key, #NO_SID + 1)) end
  end
  if sid ~= '' then return uid, false end
  if state == 'accepted' or state == 'delivered' then return uid, false end
  local since = known[4] or ''
  redis.call('HSET', record, 'state', 'accepted', 'account', account, 'detail', '', 'since', '',
    'accepted_at', since ~= '' and since or known[5] or ARGV[2], 'updated_at', ARGV[2])
  redis.call('EXPIRE', record, ARGV[5])
  index(record, true)
  return uid, true
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
  local status, at, code, uid = ARGV[4 * i + 2], ARGV[4 * i + 3], ARGV[4 * i + 4], ARGV[4 * i + 5]
  local id, account = find(sid)
  local recovered = false
  if not id and uid ~= '' then id, recovered = recover(sid, uid, ARGV[1]) end
  if id then
    local record = ARGV[3] .. id
    local known = redis.call('HMGET', record, 'accepted_at', 'dial_code', 'prefix', 'sid')
    -- A text that was sent a second time: that it failed says nothing of the first one.
    local second = sid ~= NO_SID and known[4] and known[4] ~= '' and NO_SID .. known[4] ~= sid
    local applied = second and status == 'failed' and 0 or apply(record, status, code, at, ARGV[2])
    local others = account and redis.call('HGET', sid, 'others:' .. account) or ''
    for other in string.gmatch(others or '', '%S+') do apply(ARGV[3] .. other, status, code, at, ARGV[2]) end
    replies[i] = {1, applied, known[1] or '', known[2] or '', known[3] or '', recovered and 1 or 0}
  else
    if sid ~= NO_SID then keep(sid, status, at, code) end
    replies[i] = {0, 0, '', '', '', 0}
  end
end
return replies
"""
)
