"""The Lua scripts that redeem codes, each atomic; the fields of a code are in `scripts`.

The use of a code is a lease. The attempt that redeems it confirms its use once it has committed what the
code was for, or gives the code back. If neither reaches Redis, the lease runs out and the code is valid
again: then the attempt is older than any request may be, so that it cannot commit any more. Of concurrent
attempts, at most one holds the lease.

A process of the previous version takes a code for good, and takes a lease for that.
"""

from services.auth.codes.scripts import QUOTAS

# An address that has asked for the code, or that the account trusts, has tries of its own; so have all other
# addresses of a network that has asked, together, and all others, together. Wrong codes, whatever their
# numbers, are also counted by address and network; these limits do not hold for those who have tries of
# their own left, so that others behind the same address cannot keep the owner of a code out. A right code
# proves the owner of the number, whose account trusts the address from then on.
#
# A right code that is in use, or was used, is no wrong try. Whoever comes while it is in use may ask again;
# who comes that early that the two are concurrent is a rival. Whoever comes after the use has to wait for a
# moment and ask again: a client that has lost the answer comes alone, concurrent ones come together.
#
# KEYS  1 code, 2 conversion, 3 trusted address, 4 wrong codes from the address, 5 from the network
# ARGV  1 attempt, 2 proof, 3 wrong tries allowed, 4 ms that an address is trusted,
#       5 JSON: the limits of wrong codes, of the address and of the network, 6 the address, 7 its network,
#       8 ms of the lease, 9 ms in which a use can be repeated, 10 ms after a use in which others are rivals,
#       11 ms to wait for a repetition, 12 '1' after that
# Returns {'redeemed'}, {'wrong'}, {'throttled', ms to wait, 'address' or 'network'},
#         {'taken', '1' for a rival} while another attempt holds the lease, {'wait'}, then
#         {'repeated', answer of the use}; {'used'} if there is no answer, not any more, or not for concurrent
#         ones, {'void'} if the attempt has been given up
REDEEM = (
    QUOTAS
    + """
local used_by, used_at, leased_until, answer, answered_at, rivals, void = unpack(redis.call('HMGET', KEYS[1],
  'used_by', 'used_at', 'leased_until', 'answer', 'answered_at', 'rivals', 'void:' .. ARGV[1]))
if void then return {'void'} end
if used_by == ARGV[1] then return {'redeemed'} end
local lease_over = used_by and leased_until and tonumber(leased_until) <= now

local rules, asker = cjson.decode(ARGV[5]), nil
local address, network = unpack(redis.call('HMGET', KEYS[1], 'asked:' .. ARGV[6], 'asked:' .. ARGV[7]))
if redis.call('EXISTS', KEYS[3]) == 1 or tonumber(address or 0) > now then
  asker = ARGV[6]
elseif tonumber(network or 0) > now then
  asker = ARGV[7]
end
local tried = asker and 'tries:' .. asker or 'tries'
local proof, previous, previous_until, tries =
  unpack(redis.call('HMGET', KEYS[1], 'proof', 'previous', 'previous_until', tried))
local alive = proof and tonumber(tries or 0) < tonumber(ARGV[3])
local usable = alive and (not used_by or leased_until or answer)
if not (asker and usable) then
  for place, name in ipairs({'address', 'network'}) do
    local left = used_up(KEYS[3 + place], redis.call('LLEN', KEYS[3 + place]), rules[place].limits)
    if left then return {'throttled', left, name} end
  end
end

if alive and (proof == ARGV[2] or previous == ARGV[2] and tonumber(previous_until) > now) then
  local since = now - tonumber(used_at or 0)
  if used_by and not leased_until then
    local early = rivals and since < tonumber(ARGV[10])
    if not answer or early or now - tonumber(answered_at) > tonumber(ARGV[9]) then return {'used'} end
    local last, last_at = unpack(redis.call('HMGET', KEYS[1], 'repeating', 'repeating_at'))
    if ARGV[12] == '1' then return last == ARGV[1] and {'repeated', answer} or {'used'} end
    redis.call('HSET', KEYS[1], 'repeating', ARGV[1], 'repeating_at', text(now))
    local alone = not last or last == ARGV[1] or now - tonumber(last_at) >= tonumber(ARGV[11])
    return {alone and 'wait' or 'used'}
  end
  if used_by and not lease_over then
    if since >= tonumber(ARGV[10]) then return {'taken', '0'} end
    redis.call('HSET', KEYS[1], 'rivals', '1')
    return {'taken', '1'}
  end
  redis.call('HDEL', KEYS[1], 'rivals')
  redis.call('HSET', KEYS[1], 'used_by', ARGV[1], 'used_at', text(now), 'leased_until', text(now + ARGV[8]))
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
  if not used_by and redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'verified', 1) end
  return {'redeemed'}
end
if usable then redis.call('HINCRBY', KEYS[1], tried, 1) end
for place, rule in ipairs(rules) do charge(KEYS[3 + place], unpack(rule.kept)) end
return {'wrong'}
"""
)

# The answer outlives the code, if that is about to expire.
#
# KEYS code; ARGV attempt, answer or '', ms in which the use can be repeated.
CONFIRM = (
    QUOTAS
    + """
if redis.call('HGET', KEYS[1], 'used_by') ~= ARGV[1] then return end
redis.call('HDEL', KEYS[1], 'leased_until')
if ARGV[2] == '' then return end
redis.call('HSET', KEYS[1], 'answer', ARGV[2], 'answered_at', text(now))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
"""
)

# An attempt that has been given up before Redis had it leaves a note, so that it does nothing on arrival.
#
# KEYS code, conversion; ARGV attempt, how many fields a code may have.
RESTORE = """
if redis.call('HGET', KEYS[1], 'used_by') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'used_by', 'used_at', 'leased_until', 'rivals')
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('HINCRBY', KEYS[2], 'verified', -1) end
elseif redis.call('EXISTS', KEYS[1]) == 1 and redis.call('HLEN', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], 'void:' .. ARGV[1], '1')
end
"""
