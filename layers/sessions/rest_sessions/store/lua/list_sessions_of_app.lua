-- Finds the most recently used sessions of one partition that follow a cursor.
--
-- KEYS[1]  epoch
-- KEYS[2]  recent
-- ARGV[1]  the cursor's time of last use, seconds, and
-- ARGV[2]  its handle; both empty for the first sessions
-- ARGV[3]  the most sessions to return
-- Returns  {handle, time of last use, handle, …}, the most recently used first; of sessions with the same time of last
--          use, the greatest handle first
local recent, last_used, handle, limit = KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3])

-- Whether `a` comes before `b` in the order of bytes, which is that of Redis. Lua's own `<` follows the server's locale.
local function is_less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

if not redis.call('GETEX', KEYS[1]) then
  return {}
end
local first = 0
if last_used ~= '' then
  -- Many sessions may share one second, so a bisection finds the rank of the cursor.
  local low = redis.call('ZCOUNT', recent, '(' .. last_used, '+inf')
  local high = low + redis.call('ZCOUNT', recent, last_used, last_used)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_less(redis.call('ZREVRANGE', recent, middle, middle)[1], handle) then
      high = middle
    else
      low = middle + 1
    end
  end
  first = low
end
return redis.call('ZREVRANGE', recent, first, first + limit - 1, 'WITHSCORES')
