-- Reads a session and counts the read.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- Returns     the hash's fields and values as they stood before this read; nil when no such session is alive
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local session, before = read_session(key)
if not is_alive(session, now) then
  return nil
end
use_session(key, handle, session, 'r', now)
return before
