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
local handles, owners = {}, {}
for i = 2, #ARGV do
  if is_alive(read_times(KEYS[i + 3]), now) then
    killed = killed + 1
  end
  handles[i - 1] = ARGV[i]:sub(-HANDLE_LENGTH)
  owners[i - 1] = ARGV[i]:sub(1, -HANDLE_LENGTH - 2)
end
redis.call('UNLINK', unpack(KEYS, 5))
remove_from_index(handles, owners)
return killed
