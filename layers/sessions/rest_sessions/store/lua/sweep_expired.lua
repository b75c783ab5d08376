-- Looks again at sessions of one partition and removes those that have expired.
-- include: record.lua
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `expiry`
-- Returns     how many were removed
local now = tonumber(ARGV[1])
local expired, handles, owners = {}, {}, {}
for i = 2, #ARGV do
  local key = KEYS[i + 3]
  if not is_alive(read_times(key), now) then
    expired[#expired + 1] = key
    owners[#expired], handles[#expired] = split_expiry_member(ARGV[i])
  end
end
if expired[1] then
  redis.call('UNLINK', unpack(expired))
  remove_from_index(index_of(KEYS), handles, owners)
end
return #expired
