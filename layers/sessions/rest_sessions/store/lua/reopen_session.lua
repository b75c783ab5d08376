-- Opens a session again that a login closed, because the login was refused.
-- It stays closed if it was killed meanwhile, or if another call has taken its data as well and was not refused.
-- include: record.lua
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- KEYS[7]     closed
-- ARGV[1]     now, seconds
-- ARGV[2]     the characters of the call that closed it
-- Returns     {OK}, {CLOSED} or {MISSING}
local key, now, call = KEYS[6], ARGV[1], ARGV[2]

local session = read_session(key, redis.call('GET', KEYS[1]))
if not is_session(session) or session.is_ended or not session.closing or session.closed_for_good then
  return unchanged(KEYS, { 'MISSING' })
end
local rest = session.closing:gsub(call, '')
if rest ~= '' then
  redis.call('HSET', key, 'closing', rest)
  return { 'CLOSED' }
end
redis.call('HDEL', key, 'closed', 'closed_for', 'closing', 'closed_until')
local handle, expires = handle_of(key), expires_at(session)
redis.call('ZREM', KEYS[7], expiry_member(handle, session.id))
add_to_index(KEYS, handle, session.id, session.used, expires)
redis.call('EXPIRE', key, math.max(expires - now, 0) + LINGER)
return { 'OK' }
