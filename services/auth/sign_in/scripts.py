"""The Lua scripts that count failed sign-ins and say how long the next one has to wait.

Each may run twice, because the client repeats a command whose answer it lost: an attempt has a key
of its own, which says that it has begun and is gone once it is settled.
"""

# A subject is a hash: how many failures it has on it (`level`, of which time takes away as many as
# its limit allows in the window), as of when (`at`), and until when its next attempt has to wait.
# Beyond the limit each failure doubles the wait, so that in the long run the limit holds.
#
# KEYS  1 attempt, 2 whether the account knows the address, then the subjects:
#       3 account from this address, 4 account, 5 address, 6 network
_SUBJECTS = """
local names = {[3] = 'pair', [4] = 'account', [5] = 'address', [6] = 'network'}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first_wait, longest_wait = 1000, 900000

local function amount_and_window(place)
  return tonumber(ARGV[2 * place - 4]), tonumber(ARGV[2 * place - 3])
end

local function level_of(place)
  local amount, window = amount_and_window(place)
  local level, at = unpack(redis.call('HMGET', KEYS[place], 'level', 'at'))
  return math.max(0, tonumber(level or 0) - (now - tonumber(at or now)) * amount / window)
end

local function add(place, failures)
  local amount, window = amount_and_window(place)
  local level = math.max(0, level_of(place) + failures)
  local beyond = math.ceil(level - amount)
  local wait = beyond > 0 and math.min(longest_wait, first_wait * 2 ^ (beyond - 1)) or 0
  redis.call('HSET', KEYS[place], 'level', level, 'at', now, 'next', now + wait)
  redis.call('PEXPIRE', KEYS[place], math.ceil(wait + window * (level + 1) / amount))
end
"""

# ARGV  1 ms that an attempt may take, then amount and window ms of each subject
# Returns {0} where the attempt may begin, else {ms to wait, which subject makes it}.
#
# From an unknown address the failure is counted before the password is checked, and taken back where
# it was right, so that parallel guesses gain nothing. From an address that the account knows, it is
# counted once it is one: its owner may sign in many times at once.
BEGIN = (
    _SUBJECTS
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return {0} end
local known = redis.call('EXISTS', KEYS[2]) == 1
local wait, subject = 0, ''
for place = known and 3 or 4, known and 3 or 6 do
  local left = tonumber(redis.call('HGET', KEYS[place], 'next') or 0) - now
  if left > wait then wait, subject = left, names[place] end
end
if wait > 0 then return {wait, subject} end
if not known then for place = 4, 6 do add(place, 1) end end
redis.call('SET', KEYS[1], known and 'known' or 'counted', 'PX', ARGV[1])
return {0}
"""
)

# ARGV  1 'right', 'wrong' or 'undecided', then amount and window ms of each subject,
#       last: ms that an account knows an address
SETTLE = (
    _SUBJECTS
    + """
local begun = redis.call('GETDEL', KEYS[1])
if not begun then return end
if ARGV[1] == 'wrong' then
  if begun == 'known' then add(3, 1) end
  return
end
if begun == 'counted' then for place = 4, 6 do add(place, -1) end end
if ARGV[1] == 'right' then
  redis.call('DEL', KEYS[3])
  if begun == 'counted' then redis.call('DEL', KEYS[4]) end
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[#ARGV])
end
"""
)
