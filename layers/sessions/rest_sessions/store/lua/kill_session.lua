-- Kills one session.
-- include: session.lua
-- include: state.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..4]  ids, users, recent, expiry
-- KEYS[5]     the session
-- ARGV[1]     handle
-- ARGV[2]     hash of the token
-- ARGV[3]     now, seconds
-- Returns     {OK or ROTATED}; {ELSEWHERE, partition}; {MISSING, STALE or CLOSED} when it was not alive
local key, handle, token, now = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3])

local session = read_state(key)
-- Also what is left of a session that expired.
if is_session(session) and not session.closed and is_usable(fit_of(session, token, now)) then
  remove_hash(key, session, now)
  remove_from_index(index_of(KEYS), { handle }, { session.id }, {})
end
return { status_of(session, token, now), session.to }
