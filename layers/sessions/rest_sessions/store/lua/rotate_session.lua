-- Gives a session a new token. The old one goes on to work for a grace, which begins when the new one is first used.
-- Only the caller can make the new token, from the old one and a nonce. Whoever comes with the old token gets the first
-- nonce, and so the same new token.
-- include: session.lua
-- include: use.lua
-- include: pointer.lua
--
-- KEYS[1..5]  epoch, ids, users, recent, expiry
-- KEYS[6]     the session
-- ARGV[1]     hash of the token
-- ARGV[2]     now, seconds
-- ARGV[3]     nonce
-- ARGV[4]     hash of the token that the caller makes with this nonce
-- ARGV[5]     grace, seconds
-- Returns     {ROTATED, nonce}: the token and this nonce make the new token; {OK} when the token is itself the new one;
--             {ELSEWHERE, partition}; {MISSING, STALE or CLOSED}
local key, token, now = KEYS[6], ARGV[1], ARGV[2]
local nonce, new_token, grace = ARGV[3], ARGV[4], ARGV[5]

local session = read_session(key, redis.call('GET', KEYS[1]))
renew_pointer(key, session, token, now, '')
local status = status_of(session, token, now)
if status == 'ELSEWHERE' then
  redis.call('HSET', key, 'rotated', '1')
end
if not is_usable(status) then
  return unchanged(KEYS, { status, session.to })
end
local changes = {}
local is_in_grace = session.nonce and not (session.grace_ends and has_passed(session.grace_ends, now))
if status == 'OK' and not is_in_grace then
  status = 'ROTATED'
  session.nonce = nonce
  redis.call('HDEL', key, 'grace_ends')
  changes = { 'token', new_token, 'old_token', token, 'nonce', nonce, 'grace', grace }
end
use_session(KEYS, key, session, status, now, '', changes)
return { status, status == 'ROTATED' and session.nonce or nil }
