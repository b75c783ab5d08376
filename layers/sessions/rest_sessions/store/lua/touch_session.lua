-- Starts the idle timeout of a session again, and counts nothing.
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     hash of the token
-- ARGV[3]     now, seconds
-- ARGV[4]     the session's new ttl, seconds, or '' to keep it
-- Returns     {OK or ROTATED, fields and values of the hash after this use, without the data, but `used` before it}, or
--             {ELSEWHERE, partition}, or {MISSING, STALE or CLOSED}
local key, handle, token, now, ttl = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local session = read_state(key)
renew_pointer(key, session, token, now, ttl)
local status = status_of(session, token, now)
if not is_usable(status) then
  return { status, session.to }
end
use_session(index_of(KEYS), key, handle, session, status, now, ttl, {})
return { status, shown_fields(session) }
