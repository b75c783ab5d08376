-- Tells when each of a user's sessions in one partition was last used, without reading the data.
-- include: session.lua
-- include: state.lua
--
-- KEYS[1..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2]     the user's id
-- Returns     for each session, in the order of KEYS, the time of its last use; the negative time of its closing when a
--             login closed it and it is still kept; or 0 when it is not alive or another's
local now, id = tonumber(ARGV[1]), ARGV[2]

local times = {}
for i, key in ipairs(KEYS) do
  local session = read_state(key)
  times[i] = 0
  if is_session(session) and session.id == id and now <= kept_until(session) then
    times[i] = session.closed and -tonumber(session.closed) or tonumber(session.used)
  end
end
return times
