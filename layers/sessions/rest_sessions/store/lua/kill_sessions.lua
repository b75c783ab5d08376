-- Kills sessions of one partition. A session whose hash is already gone is only removed from the index.
-- include: record.lua
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `ids`
-- Returns     how many were alive
local now = tonumber(ARGV[1])
local killed = 0
local handles, owners = {}, {}
for i = 2, #ARGV do
  if is_alive(read_times(KEYS[i + 3]), now) then
    killed = killed + 1
  end
  owners[i - 1], handles[i - 1] = split_ids_member(ARGV[i])
end
redis.call('UNLINK', unpack(KEYS, 5))
remove_from_index(index_of(KEYS), handles, owners)
return killed
