-- Tells when each of a user's sessions in one partition was last used, without reading the data.
-- include: state.lua
--
-- KEYS[1]     epoch
-- KEYS[2..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2]     the user's id
-- Returns     for each session, in the order of KEYS, the time of its last use; the negative time of its closing when a
--             login closed it and it is still kept; or 0 when it is not alive or another's
local epoch, now, id = redis.call('GETEX', KEYS[1]), ARGV[1], ARGV[2]

local times = {}
for i = 2, #KEYS do
  local session = read_state(KEYS[i], epoch)
  times[i - 1] = 0
  if session.id == id and is_kept(session, now) then
    times[i - 1] = session.closed and -session.closed or tonumber(session.used)
  end
end
return times
