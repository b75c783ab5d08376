-- Ends all sessions of one partition at once, however many, by a new epoch.
-- What is left of them lies aside until the sweep removes it.
-- include: session.lua
--
-- KEYS[1..6]  epoch, ids, users, recent, expiry, closed
-- KEYS[7]     killed
-- KEYS[8]     aside
-- ARGV[1]     now, seconds
-- ARGV[2]     the new epoch, which no other call has
-- ARGV[3]     the longest timeout that a session may have, seconds
-- Returns     how many sessions were alive; the same again when the same call is made again
local now, new_epoch, longest = ARGV[1], ARGV[2], ARGV[3]
local epoch_key, ids, users, recent, expiry, closed, killed, aside = unpack(KEYS)

local epoch = redis.call('GET', epoch_key)
local earlier = redis.call('HGET', killed, new_epoch)
if earlier then
  return unchanged(KEYS, tonumber(earlier:match('^%d+')))
end
if not epoch then
  return unchanged(KEYS, 0)
end
local count = redis.call('ZCOUNT', expiry, now, '+inf')
local has_sessions = redis.call('EXISTS', ids) == 1
-- First, because a full Redis refuses the others unless the script has written before.
redis.call('UNLINK', users, recent, expiry, closed)
if has_sessions then
  redis.call('RENAME', ids, aside)
  -- Nothing leads to it if `killed` is lost. By then all that it lists has expired.
  redis.call('EXPIRE', aside, longest + LINGER)
end
redis.call('HSET', killed, new_epoch, count .. ' ' .. now)
redis.call('SET', epoch_key, new_epoch)
return count
