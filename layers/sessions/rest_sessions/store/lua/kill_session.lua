-- Kills one session.
-- include: record.lua
-- include: session.lua
-- include: index.lua
-- include: ending.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- Returns     {OK or ROTATED}; {ELSEWHERE, partition}; {MISSING, STALE or CLOSED} when it was not alive
local key, token, now = KEYS[6], ARGV[1], ARGV[2]

local session = read_session(key, redis.call('GET', KEYS[1]))
local is_fit = is_session(session) and not session.is_ended and is_usable(fit_of(session, token, now))
if is_fit and session.closed then
  -- A login that is refused later must not open it again.
  redis.call('HSET', key, 'closed_for_good', '1')
elseif is_fit then
  -- Also what is left of a session that expired.
  remove_hash(key, session, now)
  remove_from_index(KEYS, handle_of(key), session.id)
end
return unchanged(KEYS, { status_of(session, token, now), session.to })
