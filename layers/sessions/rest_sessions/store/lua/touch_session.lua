-- Starts the idle timeout of a session again, and counts nothing.
-- include: session.lua
-- include: state.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- ARGV[3]     the session's new ttl, seconds, or '' to keep it
-- Returns     {OK or ROTATED, fields and values of the hash after this use, without the data, but `used` before it}, or
--             {ELSEWHERE, partition}, or {MISSING, STALE or CLOSED}
local key, token, now, ttl = KEYS[6], ARGV[1], ARGV[2], ARGV[3]

local session = read_fields(key, redis.call('GET', KEYS[1]), { 'nonce', 'grace', unpack(FOUND) })
renew_pointer(key, session, token, now, ttl)
local status = status_of(session, token, now)
if not is_usable(status) then
  return unchanged(KEYS, { status, session.to })
end
use_session(KEYS, key, session, status, now, ttl, {})
return { status, shown_fields(session) }
