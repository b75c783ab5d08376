-- Finds the most recently used sessions of one partition, from a place in the listing on.
--
-- KEYS[1]  recent
-- ARGV[1]  the last use, seconds, and
-- ARGV[2]  the handle of the session after which to start; both empty for the first
-- ARGV[3]  how many to give at most
-- Returns  {handle, time of last use, handle, …}, the most recently used first, of those used at once the
--          greatest handle first
local recent, used, handle, count = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local first = 0
if used ~= '' then
  -- Many sessions may share one second, so their place is found by bisection, not by reading them all.
  local low = redis.call('ZCOUNT', recent, '(' .. used, '+inf')
  local high = low + redis.call('ZCOUNT', recent, used, used)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZREVRANGE', recent, middle, middle)[1] < handle then
      high = middle
    else
      low = middle + 1
    end
  end
  first = low
end
return redis.call('ZREVRANGE', recent, first, first + count - 1, 'WITHSCORES')
