-- Removes those of some sessions of one partition that are past their deadline, looking at each again.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member in `expiry` of each session
-- Returns     how many were removed
local now = tonumber(ARGV[1])
local removed = 0
for i = 2, #ARGV do
  local key, member = KEYS[i + 3], ARGV[i]
  if not is_alive(load_session(key), now) then
    redis.call('UNLINK', key)
    remove_from_index(member:sub(1, HANDLE_LENGTH), member:sub(HANDLE_LENGTH + 2))
    removed = removed + 1
  end
end
return removed
