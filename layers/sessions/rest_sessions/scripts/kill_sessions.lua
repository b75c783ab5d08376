-- Kills sessions of one partition, and clears the index of those whose hash is gone already.
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member in `ids` of each session
-- Returns     how many were alive
local now = tonumber(ARGV[1])
local killed = 0
for i = 2, #ARGV do
  local key, member = KEYS[i + 3], ARGV[i]
  if is_alive(load_session(key), now) then
    killed = killed + 1
  end
  redis.call('UNLINK', key)
  remove_from_index(member:sub(-HANDLE_LENGTH), member:sub(1, -HANDLE_LENGTH - 2))
end
return killed
