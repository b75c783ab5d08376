-- Looks again at sessions of one partition, removes those that have expired, and corrects the entries of the others.
-- include: record.lua
-- include: session.lua
-- include: index.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `expiry`
-- Returns     how many were removed
local index, now = index_of(KEYS), tonumber(ARGV[1])
local expired, handles, owners, corrections = {}, {}, {}, {}
for i = 2, #ARGV do
  local key = KEYS[i + 3]
  local session = read_times(key)
  if is_alive(session, now) then
    corrections[#corrections + 1] = session.ends or session.used + session.ttl
    corrections[#corrections + 1] = ARGV[i]
  else
    expired[#expired + 1] = key
    owners[#expired], handles[#expired] = split_expiry_member(ARGV[i])
  end
end
-- The entry of a live session had a wrong expiry time, and would be found again and again.
if corrections[1] then
  redis.call('ZADD', index.expiry, unpack(corrections))
end
if expired[1] then
  redis.call('UNLINK', unpack(expired))
  remove_from_index(index, handles, owners)
end
return #expired
