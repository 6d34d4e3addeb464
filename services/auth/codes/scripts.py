"""The Lua scripts that issue and redeem codes, each atomic.

Every script may run twice, because the client repeats a command whose answer was lost. The id of the
request is stored in the key that it took, so that its repetition finds what the first run did.
"""

# A quota is a list of the times at which it was charged, newest first: a limit of n in a window is
# reached while the n-th time lies inside the window. That is exact at any time, and all replicas share
# one clock, that of Redis. A refused request is charged nothing.
_QUOTAS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Returns the ms until a used-up quota has room again, nil if it has room.
local function used_up(key, limits)
  for _, limit in ipairs(limits) do
    local amount, window = unpack(limit)
    if amount == 0 then return window end
    local charged_at = redis.call('LINDEX', key, amount - 1)
    local left = charged_at and charged_at + window - now or 0
    if left > 0 then return left end
  end
end

local function charge(key, limits)
  local amount, window = 0, 0
  for _, limit in ipairs(limits) do
    amount, window = math.max(amount, limit[1]), math.max(window, limit[2])
  end
  if amount == 0 then return end
  redis.call('LPUSH', key, now)
  redis.call('LTRIM', key, 0, amount - 1)
  redis.call('PEXPIRE', key, window)
end
"""

# KEYS  1 cooldown, 2 code, 3 money spent, 4 conversion, 5 solved challenge, 6… one for each quota
# ARGV  1 request, 2 cooldown ms, 3 nonce, 4 proof, 5 ttl ms, 6 price, 7 money to spend,
#       8 least conversion, 9 codes before it counts, 10 '1' if a challenge was solved,
#       11 ms that a challenge lives, 12 JSON: for each quota [name, refuses, [[amount, window ms], …]]
# Returns {'issued', nonce in force, '1' if a challenge was needed}, {'cooldown', ms left},
#         {'refused', quota}, {'risky', quota} if a challenge is needed, {'replayed'}
ISSUE = (
    _QUOTAS
    + """
local day = 86400000

local function charge_for_a_day(key, field, amount)
  local total = field and redis.call('HINCRBY', key, field, amount) or redis.call('INCRBY', key, amount)
  if total == amount then redis.call('PEXPIRE', key, day) end
end

local function current_code()
  local nonce = redis.call('HGET', KEYS[2], 'nonce')
  if not nonce or redis.call('HEXISTS', KEYS[2], 'used_by') == 1 then
    nonce = ARGV[3]
    redis.call('DEL', KEYS[2])
    redis.call('HSET', KEYS[2], 'nonce', nonce, 'proof', ARGV[4], 'tries', 0)
  end
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
  return nonce
end

if redis.call('GET', KEYS[1]) == ARGV[1] then return {'issued', current_code(), '0'} end
local left = redis.call('PTTL', KEYS[1])
if left > 0 then return {'cooldown', left} end

local price = tonumber(ARGV[6])
if tonumber(redis.call('GET', KEYS[3]) or 0) + price > tonumber(ARGV[7]) then
  return {'refused', 'spend'}
end
local quotas, risk = cjson.decode(ARGV[12]), nil
for place, quota in ipairs(quotas) do
  local name, refuses, limits = unpack(quota)
  if used_up(KEYS[5 + place], limits) then
    if refuses then return {'refused', name} end
    risk = risk or name
  end
end
local asked, used = unpack(redis.call('HMGET', KEYS[4], 'requested', 'verified'))
asked, used = tonumber(asked or 0), tonumber(used or 0)
if asked >= tonumber(ARGV[9]) and used < asked * tonumber(ARGV[8]) then risk = risk or 'conversion' end
if risk then
  if ARGV[10] ~= '1' then return {'risky', risk} end
  if not redis.call('SET', KEYS[5], ARGV[1], 'NX', 'PX', ARGV[11]) then return {'replayed'} end
end

redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
charge_for_a_day(KEYS[3], nil, price)
charge_for_a_day(KEYS[4], 'requested', 1)
for place, quota in ipairs(quotas) do charge(KEYS[5 + place], quota[3]) end
return {'issued', current_code(), risk and '1' or '0'}
"""
)

# KEYS cooldown; ARGV request. The quotas stay charged: the message may have been sent.
RELEASE_COOLDOWN = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""

# Wrong codes, whatever their numbers, are counted by address and network. A right code proves the owner
# of the number, whose account trusts the address from then on.
#
# KEYS  1 code, 2 conversion, 3 trusted address, 4 wrong codes from the address, 5 from the network
# ARGV  1 attempt, 2 proof, 3 wrong tries allowed, 4 ms that an address is trusted,
#       5 JSON: the limits of wrong codes, [[[amount, window ms], …] of the address, of the network]
# Returns {'redeemed'}, {'wrong'}, {'throttled', ms to wait, 'address' or 'network'}
REDEEM = (
    _QUOTAS
    + """
local function wrong(limits)
  for place, limit in ipairs(limits) do charge(KEYS[3 + place], limit) end
  return {'wrong'}
end

local used_by = redis.call('HGET', KEYS[1], 'used_by')
if used_by == ARGV[1] then return {'redeemed'} end
local limits = cjson.decode(ARGV[5])
for place, name in ipairs({'address', 'network'}) do
  local left = used_up(KEYS[3 + place], limits[place])
  if left then return {'throttled', left, name} end
end
local proof = redis.call('HGET', KEYS[1], 'proof')
if used_by or not proof then return wrong(limits) end
if proof == ARGV[2] then
  redis.call('HSET', KEYS[1], 'used_by', ARGV[1])
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'verified', 1) end
  return {'redeemed'}
end
if redis.call('HINCRBY', KEYS[1], 'tries', 1) >= tonumber(ARGV[3]) then
  redis.call('DEL', KEYS[1])
end
return wrong(limits)
"""
)

# KEYS code, conversion; ARGV attempt.
RESTORE = """
if redis.call('HGET', KEYS[1], 'used_by') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'used_by')
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'verified', -1) end
end
"""
