-- Creates a session, and clears the index of a few sessions that expired long ago.
-- A retry writes the same session again: nobody can have used it meanwhile, because nobody has its token.
-- include: record.lua
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
-- Returns     {OK}
local index, key = index_of(KEYS), KEYS[5]
local handle, now, id, ip, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local no_resave = ARGV[6] == '1'
local CLEARED_AT_ONCE = 2

-- LINGER is over, so Redis has already dropped the hashes of these.
local long_expired = redis.call('ZRANGEBYSCORE', index.expiry, '-inf', '(' .. now - LINGER, 'LIMIT', 0, CLEARED_AT_ONCE)

-- The Redis user may lack the right to one of these commands, and Redis undoes nothing. So the entry for the sweep
-- comes first, and no hash stays without an expiry.
redis.call('ZADD', index.expiry, now + ttl, expiry_member(handle, id))
redis.call('ZADD', index.ids, '0', ids_member(id, handle))
redis.call('ZADD', index.users, 'GT', now, id)
redis.call('ZADD', index.recent, now, handle)
redis.call('HSET', key, 'id', id, 'ip', ip, 'r', '1', 'w', '1', 'ttl', ttl, 'used', now, unpack(ARGV, 7))
if no_resave then
  redis.call('HSET', key, 'ends', now + ttl)
end
local expire = redis.pcall('EXPIRE', key, ttl + LINGER)
if type(expire) == 'table' and expire.err then
  redis.call('UNLINK', key)
  return expire
end

if long_expired[1] then
  local handles, owners = {}, {}
  for i, member in ipairs(long_expired) do
    owners[i], handles[i] = split_expiry_member(member)
  end
  remove_from_index(index, handles, owners)
end
return { 'OK' }
