-- Kills one session.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- Returns     {OK}, or {MISSING} when it was not alive
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local session = read_times(key)
if session then
  redis.call('UNLINK', key)
  remove_from_index(index_of(KEYS), { handle }, { session.id })
end
return { is_alive(session, now) and 'OK' or 'MISSING' }
