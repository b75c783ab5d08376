-- Removes a pointer again, because the create that claimed its token was refused.
-- It stays if another call needs it as well and was not refused.
-- include: session.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the pointer
-- ARGV[1]     the characters of the call that claimed it
-- Returns     {OK} or {MISSING}
local key, call = KEYS[6], ARGV[1]

local pointer = read_session(key, redis.call('GET', KEYS[1]))
if not is_pointer(pointer) then
  return unchanged(KEYS, { 'MISSING' })
end
local rest = (pointer.calls or ''):gsub(call, '')
if rest ~= '' then
  redis.call('HSET', key, 'calls', rest)
else
  redis.call('UNLINK', key)
end
return { 'OK' }
