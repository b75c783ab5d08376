-- Forgets the killalls that left nothing aside and, if nothing is left in the partition, its epoch.
-- include: session.lua
--
-- KEYS[1..6]  epoch, ids, users, recent, expiry, closed
-- KEYS[7]     killed
-- KEYS[8..*]  what each killall left aside
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the epoch that each killall made
-- Returns     1 if the partition still has an epoch, else 0
local now, killed = ARGV[1], KEYS[7]
local has_epoch = redis.call('GET', KEYS[1])
local is_used, kept, forgotten = redis.call('EXISTS', unpack(KEYS, 2, 6)) > 0, redis.call('HLEN', killed), {}
for i = 2, #ARGV do
  local time = (redis.call('HGET', killed, ARGV[i]) or ''):match(' (%d+)$')
  -- Until then the same killall may be made again.
  if time and has_passed(time + REPEATABLE, now) and redis.call('EXISTS', KEYS[i + 6]) == 0 then
    forgotten[#forgotten + 1] = ARGV[i]
  end
end
if forgotten[1] then
  redis.call('HDEL', killed, unpack(forgotten))
end
local is_left = is_used or kept > #forgotten
if has_epoch and not is_left then
  redis.call('UNLINK', KEYS[1])
end
return unchanged(KEYS, has_epoch and is_left and 1 or 0)
