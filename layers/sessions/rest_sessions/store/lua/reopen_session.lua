-- Opens a session again that a login closed, because the login was refused.
-- If the session was killed meanwhile, or another call has taken its data as well, nothing is changed.
-- include: session.lua
-- include: state.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- ARGV[3]     the text of the call that closed it
-- Returns     {OK} or {MISSING}
local key, handle, now, call = KEYS[5], ARGV[1], tonumber(ARGV[2]), ARGV[3]

local session = read_state(key)
if not is_session(session) or session.closed_by ~= call then
  return { 'MISSING' }
end
redis.call('HDEL', key, 'closed', 'closed_for', 'closed_by', 'closed_until')
local expires = expires_at(session)
add_to_index(index_of(KEYS), handle, session.id, tonumber(session.used), expires)
redis.call('EXPIRE', key, math.max(expires - now, 0) + LINGER)
return { 'OK' }
