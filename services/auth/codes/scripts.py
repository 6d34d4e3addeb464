"""The Lua scripts that issue codes, each atomic; `redeem_scripts` has those that redeem them.

Every script may run twice, because the client repeats a command whose answer was lost. The id of the
request is stored in the key that it took, so that its repetition finds what the first run did.

What concerns a number is kept by asker: by the address that asks and by its network. Strangers thus use
up neither the owner's cooldown, nor the owner's quota, nor the tries of a code that the owner has asked for.

The key `code:<number>:<purpose>` is a hash, which processes of the previous version share:
    nonce, proof        of the code; the key expires with it
    used_by             the attempt that redeemed it; for good, unless there is `leased_until`
    used_at             when
    leased_until        when it is valid again, unless the use is confirmed before
    answer, answered_at what the use led to, for its repetition
    repeating, repeating_at   the latest attempt to repeat the use, and when it came
    rivals              '1' if another attempt had the right code at the same time
    void:<attempt>      an attempt that has been given up, and may still arrive
    tries               wrong tries of all who have not asked for it (before: of everybody)
    asked:<asker>       the time until which an address or a network that has asked has tries of its own
    asks:<network>      how often its addresses have asked
    tries:<asker>       those that it has used
    previous, previous_until   proof and expiry of the code before, replaced because it expires soon
"""

# A quota is a list of the times at which it was charged, newest first: a limit of n in a window is
# reached while the n-th time lies inside the window. That is exact at any time, and all replicas share
# one clock, that of Redis. A refused request is charged nothing.
QUOTAS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number) return string.format('%.0f', number) end

-- Returns the ms until the n-th latest of `length` charges leaves the window, 0 if it is outside.
local function left_of(key, length, n, window)
  if n > length then return 0 end
  return math.max(0, redis.call('LINDEX', key, n - 1) + window - now)
end

-- Returns the ms until a used-up quota has room again, nil if it has room. A factor scales the amounts.
local function used_up(key, length, limits, factor)
  for _, limit in ipairs(limits) do
    local amount, window = math.ceil(limit[1] * (factor or 1)), limit[2]
    local left = amount == 0 and window or left_of(key, length, amount, window)
    if left > 0 then return left end
  end
end

local function charge(key, length, window)
  if length == 0 then return end
  if redis.call('LPUSH', key, now) > length then redis.call('LTRIM', key, 0, length - 1) end
  redis.call('PEXPIRE', key, window)
end
"""

# The money, the conversion and the dial code of a message.
_SENDING = """
local day = 86400000

local function charge_for_a_day(key, field, amount)
  local total = field and redis.call('HINCRBY', key, field, amount) or redis.call('INCRBY', key, amount)
  if total == amount then redis.call('PEXPIRE', key, day) end
end

local function charge_sending(spend, conversion, dial_code, rules)
  charge_for_a_day(spend, nil, rules.price)
  charge_for_a_day(conversion, 'requested', 1)
  charge(dial_code, unpack(rules.dial_code.kept))
end
"""

# KEYS  1 cooldowns by asker, 2 code, 3 money spent, 4 conversion, 5 solved challenge, 6 trusted address,
#       7 codes to the number for the address, 8 dial code, 9 codes sent again to strangers,
#       10 codes to the number for all strangers, 11… the other quotas
# ARGV  1 request, 2 cooldown ms, 3 nonce, 4 proof, 5 ttl ms, 6 least ms that a resent code has left,
#       7 tries of a code, 8 the asking address, 9 its network, 10 difficulty of the solved challenge or -1,
#       11 ms that a challenge lives, 12 '1' if the code may be decided on afterwards,
#       13 JSON of the rules, see `quotas.py`
# Returns {'issued', nonce in force, ms that it has left, '1' if a challenge was needed, '1' if withheld},
#         {'cooldown', ms left}, {'refused', quota}, {'risky', quota, difficulty} if a challenge is needed,
#         {'replayed', difficulty} if the solution was used before
#
# An address that the number's account trusts has only its own quota. While a code is valid, the address that
# asked for it gets it again, and so do the others of its network, together as often as one address: that has
# a quota of its own, half of what all strangers get, beyond which they are strangers. A withheld code is
# charged to nothing that is paid for: SEND_WITHHELD does that, if it is sent.
ISSUE = (
    QUOTAS
    + _SENDING
    + """
local rules = cjson.decode(ARGV[13])
local trusted = redis.call('EXISTS', KEYS[6]) == 1
local address, network = ARGV[8], ARGV[9]

local code, flat = {}, redis.call('HGETALL', KEYS[2])
for place = 1, #flat, 2 do code[flat[place]] = flat[place + 1] end

local function has_asked(name, value) return name:sub(1, 6) == 'asked:' and tonumber(value) > now end

-- Whether the address has used up its tries, and nobody else would lose the code.
local function worn_out()
  if tonumber(code['tries:' .. address] or 0) < tonumber(ARGV[7]) then return false end
  for name, value in pairs(code) do
    local mine = name == 'asked:' .. address or name == 'asked:' .. network
    if has_asked(name, value) and not mine then return false end
  end
  return true
end

local function replace(left)
  if #flat > 0 then redis.call('DEL', KEYS[2]) end
  local ends = text(now + ARGV[5])
  redis.call('HSET', KEYS[2], 'nonce', ARGV[3], 'proof', ARGV[4], 'tries', 0,
    'asked:' .. address, ends, 'asked:' .. network, ends, 'asks:' .. network, 1)
  if left > 0 then
    redis.call('HSET', KEYS[2], 'previous', code.proof, 'previous_until', text(now + left))
    for name, value in pairs(code) do
      if has_asked(name, value) then
        redis.call('HSETNX', KEYS[2], name, value)
        redis.call('HSETNX', KEYS[2], 'asks:' .. name:sub(7), 0)
      end
    end
  end
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end

local function current_code()
  local lease_over = code.leased_until and tonumber(code.leased_until) <= now
  local valid, worn = code.nonce and (not code.used_by or lease_over), worn_out()
  local left = valid and redis.call('PTTL', KEYS[2]) or 0
  -- A nonce of another length is that of a code of another length, from before a change of CODE_LENGTH.
  local outdated = valid and #code.nonce ~= #ARGV[3]
  if worn or outdated or left < tonumber(ARGV[6]) then
    replace(worn and 0 or left)
    return ARGV[3], tonumber(ARGV[5])
  end
  local ends, asks = text(now + left), tonumber(code['asks:' .. network] or 0) + 1
  redis.call('HSET', KEYS[2], 'asked:' .. address, ends, 'asked:' .. network, ends, 'asks:' .. network, asks)
  return code.nonce, left
end

local function issued(challenged, withheld)
  local nonce, left = current_code()
  return {'issued', nonce, left, challenged, withheld}
end

local taken = redis.call('HGET', KEYS[1], address)
if taken then
  local ends, request, withheld = taken:match('^(%d+) (.*) (%d)$')
  if tonumber(ends) > now then
    if request == ARGV[1] then return issued('0', withheld) end
    return {'cooldown', tonumber(ends) - now}
  end
end

local spent = tonumber(redis.call('GET', KEYS[3]) or 0) + rules.price
if spent > rules.spend then return {'refused', 'spend'} end
local dial_code, own = rules.dial_code, rules.own.limits
local country = redis.call('LLEN', KEYS[8])
if used_up(KEYS[8], country, dial_code.limits) then return {'refused', 'dial_code'} end
if used_up(KEYS[7], redis.call('LLEN', KEYS[7]), own) then return {'refused', 'number'} end

local risk, difficulty = nil, 0
local withheld = not trusted
  and (spent > rules.unreserved or used_up(KEYS[8], country, dial_code.limits, dial_code.share))

-- Each limit's overrun doubles the work: every further code, or every further `step` amounts.
local function meet(key, length, name, thresholds, hardest, step)
  for _, limit in ipairs(thresholds) do
    local amount, window = unpack(limit)
    if amount == 0 or left_of(key, length, amount, window) > 0 then
      risk = risk or name
      local level, further = 0, step > 0 and step or amount
      while amount > 0 and level < hardest
        and left_of(key, length, amount + (level + 1) * further, window) > 0 do level = level + 1 end
      difficulty = math.max(difficulty, level)
    end
  end
end

local again = false
local function key_of(place) return place == 1 and again and KEYS[9] or KEYS[9 + place] end

if not trusted then
  local asked = tonumber(code['asked:' .. address] or 0) > now
    or tonumber(code['asked:' .. network] or 0) > now and tonumber(code['asks:' .. network]) < rules.again
  again = asked and not used_up(KEYS[9], redis.call('LLEN', KEYS[9]), rules.quotas[1][2], 0.5)
  for place, quota in ipairs(rules.quotas) do
    if place > 1 or not again then
      local name, limits, _, thresholds, hardest, step = unpack(quota)
      local key = KEYS[9 + place]
      local length = redis.call('LLEN', key)
      if used_up(key, length, limits) then return {'refused', name .. '_limit'} end
      meet(key, length, name, thresholds, hardest, step)
    end
  end
  local requested, verified = unpack(redis.call('HMGET', KEYS[4], 'requested', 'verified'))
  requested, verified = tonumber(requested or 0), tonumber(verified or 0)
  for place, least in ipairs(rules.conversion) do
    local volume, share = unpack(least)
    if requested >= volume and verified < requested * share then
      if place == 1 then return {'refused', 'conversion_limit'} end
      risk = risk or 'conversion'
    end
  end
end
if withheld then
  if ARGV[12] ~= '1' then return {'refused', 'reserve'} end
  risk = risk or 'reserve'
end
if risk then
  if tonumber(ARGV[10]) < difficulty then return {'risky', risk, difficulty} end
  if not redis.call('SET', KEYS[5], ARGV[1], 'NX', 'PX', ARGV[11]) then return {'replayed', difficulty} end
end

withheld = withheld and '1' or '0'
redis.call('HSET', KEYS[1], address, text(now + ARGV[2]) .. ' ' .. ARGV[1] .. ' ' .. withheld)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if withheld == '0' then charge_sending(KEYS[3], KEYS[4], KEYS[8], rules) end
charge(KEYS[7], unpack(rules.own.kept))
for place, quota in ipairs(rules.quotas) do
  if not (trusted and place == 1) then charge(key_of(place), unpack(quota[3])) end
end
return issued(risk and '1' or '0', withheld)
"""
)

# KEYS  1 this script's outcome, 2 money spent, 3 conversion, 4 dial code
# ARGV  1 ms to remember the outcome, 2 JSON of the rules
# Returns 1 if the message may be sent, 0 if the money or the quota of the dial code is used up
SEND_WITHHELD = (
    QUOTAS
    + _SENDING
    + """
local outcome = redis.call('GET', KEYS[1])
if outcome then return tonumber(outcome) end
local rules = cjson.decode(ARGV[2])
local spent = tonumber(redis.call('GET', KEYS[2]) or 0) + rules.price
local length = redis.call('LLEN', KEYS[4])
local room = spent <= rules.spend and not used_up(KEYS[4], length, rules.dial_code.limits)
if room then charge_sending(KEYS[2], KEYS[3], KEYS[4], rules) end
redis.call('SET', KEYS[1], room and 1 or 0, 'PX', ARGV[1])
return room and 1 or 0
"""
)

# KEYS cooldowns; ARGV request. The quotas stay charged: the message may have been sent.
RELEASE_COOLDOWN = """
local flat = redis.call('HGETALL', KEYS[1])
for place = 1, #flat, 2 do
  if flat[place + 1]:match('^%d+ (.*) %d$') == ARGV[1] then redis.call('HDEL', KEYS[1], flat[place]) end
end
"""
