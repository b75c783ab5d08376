-- Reads a session and counts the read, unless it is only looked at.
-- include: session.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- ARGV[3]     1 to look at the session without using it, else 0
-- Returns     {OK, ROTATED or CLOSED, fields and values of the hash before this read}, or {ELSEWHERE, partition}, or
--             {MISSING or STALE}
local key, token, now, is_use = KEYS[6], ARGV[1], ARGV[2], ARGV[3] == '0'

local session, fields = read_session(key, redis.call('GET', KEYS[1]))
if is_use then
  renew_pointer(key, session, token, now, '')
end
local status = status_of(session, token, now)
if not is_usable(status) then
  return unchanged(KEYS, { status, status == 'CLOSED' and fields or session.to })
end
if not is_use then
  return unchanged(KEYS, { status, fields })
end
use_session(KEYS, key, session, status, now, '', { 'r', string.format('%d', session.r + 1) })
return { status, fields }
