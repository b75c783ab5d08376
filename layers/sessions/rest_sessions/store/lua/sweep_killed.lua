-- Removes what is left of sessions that a killall has ended.
-- include: state.lua
-- include: ending.lua
--
-- KEYS[1]     epoch
-- KEYS[2]     aside
-- KEYS[3..*]  the sessions
-- ARGV[1]     now, seconds
-- ARGV[2..*]  the member of each session in `aside`
-- Returns     0: none of these sessions had expired
local now = ARGV[1]
local epoch, gone = redis.call('GET', KEYS[1]), {}
for i = 3, #KEYS do
  local session = read_state(KEYS[i], epoch)
  -- The handle may have been used again: by a session of the present epoch, by a pointer or by a mark.
  local is_left = session.is_ended and not session.to and not session.killed
  if is_left and not leave_mark(KEYS[i], session, now) then
    gone[#gone + 1] = KEYS[i]
  end
end
if gone[1] then
  redis.call('UNLINK', unpack(gone))
end
redis.call('ZREM', KEYS[2], unpack(ARGV, 2))
return 0
