-- Creates a session, and clears what a few sessions that expired long ago left in the index.
-- Running it again with the same arguments changes nothing.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- ARGV[3]     id
-- ARGV[4]     ip
-- ARGV[5]     ttl, seconds
-- ARGV[6]     1 when the session ends ttl seconds from now whatever its use, else 0
-- ARGV[7..*]  field and value of each datum
-- Returns     1
local key, handle, now, id, ip, ttl = KEYS[5], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local no_resave = ARGV[6] == '1'
local CLEARED_AT_ONCE = 2

-- Redis has dropped the hashes of these by itself, as LINGER is over.
local long_expired = redis.call('ZRANGEBYSCORE', expiry, '-inf', '(' .. now - LINGER, 'LIMIT', 0, CLEARED_AT_ONCE)
if long_expired[1] then
  local handles, owners = {}, {}
  for i, member in ipairs(long_expired) do
    handles[i] = member:sub(1, HANDLE_LENGTH)
    owners[i] = member:sub(HANDLE_LENGTH + 2)
  end
  remove_from_index(handles, owners)
end

redis.call('HSET', key, 'id', id, 'ip', ip, 'r', '1', 'w', '1', 'ttl', ttl, 'used', now, unpack(ARGV, 7))
if no_resave then
  redis.call('HSET', key, 'ends', now + ttl)
end
redis.call('EXPIRE', key, ttl + LINGER)
redis.call('ZADD', ids, '0', id .. '\0' .. handle)
redis.call('ZADD', users, 'GT', now, id)
redis.call('ZADD', recent, now, handle)
redis.call('ZADD', expiry, now + ttl, handle .. ':' .. id)
return 1
