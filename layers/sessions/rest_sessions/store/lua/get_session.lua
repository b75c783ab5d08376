-- Reads a session and counts the read, unless it is only looked at.
-- include: session.lua
-- include: index.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     hash of the token
-- ARGV[3]     now, seconds
-- ARGV[4]     1 to look at the session without using it, else 0
-- Returns     {OK, ROTATED or CLOSED, fields and values of the hash before this read}, or {ELSEWHERE, partition}, or
--             {MISSING or STALE}
local key, handle, token, now = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3])
local is_use = ARGV[4] == '0'

local session, fields = read_session(key)
if is_use then
  renew_pointer(key, session, token, now, '')
end
local status = status_of(session, token, now)
if status == 'CLOSED' then
  return { status, fields }
end
if not is_usable(status) then
  return { status, session.to }
end
if is_use then
  use_session(index_of(KEYS), key, handle, session, status, now, '', { 'r', next_count(session.r) })
end
return { status, fields }
