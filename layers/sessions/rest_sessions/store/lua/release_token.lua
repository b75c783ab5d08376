-- Removes a pointer again, because the create that claimed its token was refused.
-- It stays if another call needs it as well and was not refused.
-- include: session.lua
-- include: state.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the pointer
-- ARGV[1]     handle
-- ARGV[2]     the characters of the call that claimed it
-- Returns     {OK} or {MISSING}
local key, call = KEYS[5], ARGV[2]

local pointer = read_state(key)
if not is_pointer(pointer) then
  return { 'MISSING' }
end
local rest = pointer.calls:gsub(call, '')
if rest ~= '' then
  redis.call('HSET', key, 'calls', rest)
else
  redis.call('UNLINK', key)
end
return { 'OK' }
