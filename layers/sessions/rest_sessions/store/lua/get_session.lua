-- Reads a session and counts the read.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- Returns     {OK, fields and values of the hash before this read}, or {MISSING}
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local session, fields = read_session(key)
if not is_alive(session, now) then
  return { 'MISSING' }
end
use_session(index_of(KEYS), key, handle, session, 'r', now)
return { 'OK', fields }
