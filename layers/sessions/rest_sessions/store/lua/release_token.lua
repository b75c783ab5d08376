-- Removes a pointer again, because the create that claimed its token was refused.
-- If another call needs it as well, it stays.
-- include: state.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the pointer
-- ARGV[1]     handle
-- ARGV[2]     the text of the call that claimed it
-- Returns     {OK} or {MISSING}
local key, call = KEYS[5], ARGV[2]

local pointer = read_state(key)
if not pointer.to or pointer.call ~= call then
  return { 'MISSING' }
end
redis.call('UNLINK', key)
return { 'OK' }
