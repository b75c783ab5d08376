-- Starts the idle timeout of a session again, and counts nothing.
-- include: session.lua
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

local session = read_session(key, redis.call('GET', KEYS[1]))
renew_pointer(key, session, token, now, ttl)
local status = status_of(session, token, now)
if not is_usable(status) then
  return unchanged(KEYS, { status, session.to })
end
use_session(KEYS, key, session, status, now, ttl, {})

local shown = {}
for _, field in ipairs({ 'id', 'ip', 'r', 'w', 'ttl', 'used', 'created', 'ends', 'no_resave' }) do
  if session[field] then
    shown[#shown + 1], shown[#shown + 2] = field, session[field]
  end
end
return { status, shown }
