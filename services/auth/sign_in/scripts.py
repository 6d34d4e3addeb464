"""The Lua scripts that begin and settle an attempt to sign in, each atomic.

The scripts may run twice, because the client repeats a command whose answer was lost: an attempt has
a key of its own, which exists from its begin until it is settled.
"""

# A subject is a hash: its number of events (`level`, which decreases at the rate of its limit), the
# time of that (`at`), and the time before which its next attempt has to wait (`next`). Beyond the limit
# each event doubles the wait, so that in the long run the limit holds.
#
# KEYS  1 attempt, 2 trusted address, then the subjects of failures:
#       3 account from this address, 4 account, 5 address, 6 network, 7 account from new networks;
#       the subjects of all checks, failed or not: 8 account, 9 address;
#       10 whether an attempt from this network at the account was counted lately
_SUBJECTS = """
local names = {
  [3] = 'pair', [4] = 'account', [5] = 'address', [6] = 'network', [7] = 'newcomers',
  [8] = 'account_checks', [9] = 'address_checks',
}
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

local function add(place, events)
  local amount, window = amount_and_window(place)
  local level = math.max(0, level_of(place) + events)
  local beyond = math.ceil(level - amount)
  local wait = beyond > 0 and math.min(longest_wait, first_wait * 2 ^ (beyond - 1)) or 0
  redis.call('HSET', KEYS[place], 'level', level, 'at', now, 'next', now + wait)
  redis.call('PEXPIRE', KEYS[place], math.max(10000, math.ceil(wait + window * (level + 1) / amount)))
end

local function wait_of(place)
  return tonumber(redis.call('HGET', KEYS[place], 'next') or 0) - now
end

-- What an attempt is charged to before the password is checked, by its kind.
local charged = {known = {8, 9}, counted = {4, 5, 6, 8, 9}, newcomer = {7, 5, 6, 8, 9}}
"""

# ARGV  1 ms that an attempt may take, then amount and window ms of each subject
# Returns {kind of the attempt} if it may begin, else {ms to wait, name of the subject}.
#
# From an unknown address a failure is counted before the password is checked, and taken back if it was
# right, so that parallel guesses gain nothing. From an address that the account trusts, it is counted
# afterwards, and waits for nothing that others did. A check is counted before, from everywhere.
#
# Strangers cannot make a newcomer wait, whose network has not failed at this account lately, before
# they have failed from many networks: those have a limit of their own.
BEGIN = (
    _SUBJECTS
    + """
local begun = redis.call('GET', KEYS[1])
if begun then return {begun} end
local kind, checked = 'counted', {4, 5, 6, 8, 9}
if redis.call('EXISTS', KEYS[2]) == 1 then
  kind, checked = 'known', {3, 8}
elseif wait_of(4) > 0 and amount_and_window(7) > 0 and redis.call('EXISTS', KEYS[10]) == 0 then
  kind, checked = 'newcomer', {7, 5, 6, 8, 9}
end
local wait, subject = 0, ''
for _, place in ipairs(checked) do
  local left = wait_of(place)
  if left > wait then wait, subject = left, names[place] end
end
if wait > 0 then return {wait, subject} end
for _, place in ipairs(charged[kind]) do add(place, 1) end
if kind ~= 'known' then redis.call('SET', KEYS[10], KEYS[1], 'NX', 'PX', ARGV[11]) end
redis.call('SET', KEYS[1], kind, 'PX', ARGV[1])
return {kind}
"""
)

# ARGV  1 'right', 'wrong' or 'undecided', then amount and window ms of each subject,
#       last: ms that an address is trusted
SETTLE = (
    _SUBJECTS
    + """
local begun = redis.call('GETDEL', KEYS[1])
if not begun then return end
if ARGV[1] == 'wrong' then
  if begun == 'known' then add(3, 1) end
  return
end
-- Failures are taken back, and the checks, too, if there was none.
for _, place in ipairs(charged[begun]) do
  if place < 8 or ARGV[1] == 'undecided' then add(place, -1) end
end
if redis.call('GET', KEYS[10]) == KEYS[1] then redis.call('DEL', KEYS[10]) end
if ARGV[1] == 'right' then
  redis.call('DEL', KEYS[3])
  if begun ~= 'known' then redis.call('DEL', KEYS[4], KEYS[7]) end
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[#ARGV])
end
"""
)
