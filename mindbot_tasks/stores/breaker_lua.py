"""The two scripts behind `breaker.ask` and `breaker.report`; each is one round trip, whatever is configured."""

from __future__ import annotations

from mindbot_tasks.stores import leave
from mindbot_tasks.stores.limiter import NOW_LUA

_COMMON = (
    NOW_LUA
    + f"""
local SLOT, SLOTS, MIN_CALLS, RATIO = {leave.SLOT_US}, {leave.SLOTS}, {leave.MIN_CALLS}, {leave.RATIO}
local OPEN, OPEN_MAX, PROBE, FORGET = {leave.OPEN_US}, {leave.OPEN_MAX_US}, {leave.PROBE_US}, {leave.FORGET_MS}
local TRIES_SLOT, TRIES_SLOTS = {leave.TRIES_SLOT_US}, {leave.TRIES_SLOTS}
local RETRY_RATIO, RETRY_FLOOR, RETRY_WELL = {leave.RETRY_RATIO}, {leave.RETRY_FLOOR}, {leave.RETRY_WELL}
local MARK, BUSY = {leave.MARK_MS}, {leave.BUSY_US}
"""
    + """
local function text(number) return string.format('%.0f', number) end
-- what the hash counts by slot: the sums of the last `slots`, without the slots before them
local function recent(key, slot, slots)
  local sums, old = {}, {}
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local kind, at = string.match(all[i], '^(%a+):(%d+)$')
    if kind then
      if tonumber(at) <= slot - slots then old[#old + 1] = all[i]
      else sums[kind] = (sums[kind] or 0) + all[i + 1] end
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  return sums
end
-- adds to a slot; the first of a slot tidies up
local function count(key, kind, slot, slots, more)
  local sum = redis.call('HINCRBY', key, kind .. ':' .. slot, more)
  redis.call('PEXPIRE', key, FORGET)
  if sum == tonumber(more) then recent(key, slot, slots) end
end
local function full_at(key, now) return math.max(now, tonumber(redis.call('GET', key) or '0')) end
local function fill(key, now, at)
  if at <= now then redis.call('DEL', key) return end
  redis.call('SET', key, text(at), 'PX', math.ceil((at - now) / 1000) + 1000)
end
local now = now_us(ARGV[1])
"""
)

# KEYS: breaker, pause, tries, mark of the message, places, buckets ...
# ARGV: now or '', successes to add, places (0: no limit), lease, its time, then interval, burst, amount, reason of each
# Returns reason, microseconds to wait, 1 for a probe, 1 for a retry.
ASK = (
    _COMMON
    + """
local state = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until')
local open_until, probe_until = tonumber(state[1] or '0'), tonumber(state[2] or '0')
if tonumber(ARGV[2]) > 0 then count(KEYS[1], 'ok', math.floor(now / SLOT), SLOTS, ARGV[2]) end
local function refuse(reason, wait) return {reason, text(math.ceil(wait)), 0, 0} end

local wait = math.max(open_until, probe_until) - now
if open_until > 0 and wait > 0 then return refuse('breaker', wait) end
wait = redis.call('PTTL', KEYS[2]) * 1000
if wait > 0 then return refuse('pause', wait) end

local slot = math.floor(now / TRIES_SLOT)
local again = redis.call('EXISTS', KEYS[4])
if again == 1 and open_until == 0 then
  local tries = recent(KEYS[3], slot, TRIES_SLOTS)
  local more = (tries.again or 0) + 1
  local here = tonumber(redis.call('HGET', KEYS[3], 'again:' .. slot) or '0') + 1
  local few = here <= RETRY_FLOOR and more <= RETRY_FLOOR * TRIES_SLOTS
  if not few and more > RETRY_RATIO * (tries.first or 0) then
    local calls = recent(KEYS[1], math.floor(now / SLOT), SLOTS)
    local ok, bad = calls.ok or 0, calls.bad or 0
    if ok == 0 or ok < RETRY_WELL * (ok + bad) then return refuse('retries', (slot + 1) * TRIES_SLOT - now) end
  end
end

local places = tonumber(ARGV[3])
if places > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', text(now))
  if redis.call('ZCARD', KEYS[5]) >= places then return refuse('busy', BUSY) end
end
local fullest = {}
for i = 6, #KEYS do
  local at = 5 + (i - 6) * 4
  local interval, burst, amount = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  fullest[i] = full_at(KEYS[i], now)
  -- more than the bucket holds may go when it is full: then the next one waits for longer
  wait = fullest[i] + (math.min(amount, burst) - burst) * interval - now
  if wait > 0 then return refuse(ARGV[at + 4], wait) end
end
for i = 6, #KEYS do
  local at = 5 + (i - 6) * 4
  fill(KEYS[i], now, fullest[i] + tonumber(ARGV[at + 1]) * tonumber(ARGV[at + 3]))
end
if places > 0 then
  redis.call('ZADD', KEYS[5], text(now + tonumber(ARGV[5])), ARGV[4])
  redis.call('PEXPIRE', KEYS[5], math.ceil(tonumber(ARGV[5]) / 1000) + 1000)
end
count(KEYS[3], again == 1 and 'again' or 'first', slot, TRIES_SLOTS, 1)
if open_until == 0 then return {'', '0', 0, again} end
redis.call('HSET', KEYS[1], 'probe_until', text(now + PROBE))
redis.call('PEXPIRE', KEYS[1], FORGET)
return {'', '0', 1, again}
"""
)

# KEYS: breaker, pause, mark of the message, places, buckets of tokens ...
# ARGV: now or '', 'ok' | 'bad' | 'none', 1 for a probe, milliseconds of pause, 1 to mark the message, lease or '',
# then interval and tokens more (or fewer) of each bucket. Returns 1 when the breaker opened.
REPORT = (
    _COMMON
    + """
if ARGV[6] ~= '' then redis.call('ZREM', KEYS[4], ARGV[6]) end
if ARGV[5] == '1' then redis.call('SET', KEYS[3], '1', 'PX', MARK) end
local pause = tonumber(ARGV[4])
if pause > 0 and redis.call('PTTL', KEYS[2]) < pause then redis.call('SET', KEYS[2], '1', 'PX', pause) end
for i = 5, #KEYS do
  local at = 6 + (i - 5) * 2
  fill(KEYS[i], now, full_at(KEYS[i], now) + tonumber(ARGV[at + 1]) * tonumber(ARGV[at + 2]))
end
local function trip()
  local trips = redis.call('HINCRBY', KEYS[1], 'trips', 1)
  local open = math.min(OPEN_MAX, OPEN * 2 ^ (trips - 1))
  redis.call('HSET', KEYS[1], 'open_until', text(now + open), 'probe_until', '0')
  redis.call('PEXPIRE', KEYS[1], FORGET)
  return 1
end
if ARGV[3] == '1' then
  if ARGV[2] == 'ok' then redis.call('DEL', KEYS[1]) return 0 end
  if ARGV[2] == 'bad' then return trip() end
  redis.call('HSET', KEYS[1], 'probe_until', '0')
  return 0
end
if ARGV[2] == 'none' then return 0 end
local slot = math.floor(now / SLOT)
count(KEYS[1], ARGV[2], slot, SLOTS, 1)
if ARGV[2] == 'ok' or tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0') > 0 then return 0 end
local calls = recent(KEYS[1], slot, SLOTS)
local ok, bad = calls.ok or 0, calls.bad or 0
if ok + bad >= MIN_CALLS and bad >= RATIO * (ok + bad) then return trip() end
return 0
"""
)
