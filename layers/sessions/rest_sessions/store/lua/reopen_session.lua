-- Opens a session again that a login closed, because the login was refused.
-- It stays closed if it was killed meanwhile, or if another call has taken its data as well and was not refused.
-- include: session.lua
-- include: state.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- ARGV[3]     the characters of the call that closed it
-- Returns     {OK}, {CLOSED} or {MISSING}
local key, handle, now, call = KEYS[5], ARGV[1], tonumber(ARGV[2]), ARGV[3]

local session = read_state(key)
if not is_session(session) or not session.closed or session.closed_for_good then
  return { 'MISSING' }
end
local rest = session.closing:gsub(call, '')
if rest ~= '' then
  redis.call('HSET', key, 'closing', rest)
  return { 'CLOSED' }
end
redis.call('HDEL', key, 'closed', 'closed_for', 'closing', 'closed_until')
local expires = expires_at(session)
add_to_index(index_of(KEYS), handle, session.id, tonumber(session.used), expires)
redis.call('EXPIRE', key, math.max(expires - now, 0) + LINGER)
return { 'OK' }
