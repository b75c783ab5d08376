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
local is_fit = is_session(session) and is_usable(fit_of(session, token, now))
if is_fit and session.closed then
  -- A login that is refused later must not open it again.
  redis.call('HSET', key, 'closed_for_good', '1')
elseif is_fit then
  -- Also what is left of a session that expired.
  remove_hash(key, session, now)
  remove_from_index(index_of(KEYS), { handle }, { session.id }, {})
end
return { status_of(session, token, now), session.to }
