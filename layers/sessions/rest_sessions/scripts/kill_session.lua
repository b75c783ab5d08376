-- Kills one session.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     now, seconds
-- Returns     1 when it was alive, else 0
local key, handle, now = KEYS[5], ARGV[1], tonumber(ARGV[2])
local session = read_times(key)
if not session then
  return 0
end
redis.call('UNLINK', key)
remove_from_index({ handle }, { session.id })
return is_alive(session, now) and 1 or 0
