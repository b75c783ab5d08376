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
local expired, handles, owners = {}, {}, {}
for i = 2, #ARGV do
  if not is_alive(read_times(KEYS[i + 3]), now) then
    expired[#expired + 1] = KEYS[i + 3]
    handles[#handles + 1] = ARGV[i]:sub(1, HANDLE_LENGTH)
    owners[#owners + 1] = ARGV[i]:sub(HANDLE_LENGTH + 2)
  end
end
if expired[1] then
  redis.call('UNLINK', unpack(expired))
  remove_from_index(handles, owners)
end
return #expired
