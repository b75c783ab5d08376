-- Closes a session for a login, which takes over its data: the first step of `create` with `from`.
-- The session is then missing for all but `get`, which shows it for a grace. For REPEATABLE seconds the same login may
-- take the data once more, in case that it broke off after this step.
-- include: record.lua
-- include: session.lua
-- include: index.lua
-- include: data.lua
--
-- KEYS[1..4]   ids, users, recent, expiry
-- KEYS[5]      the session
-- ARGV[1]      handle
-- ARGV[2]      hash of the token
-- ARGV[3]      now, seconds
-- ARGV[4]      grace, seconds
-- ARGV[5]      the id of the user who logs in
-- ARGV[6]      16 characters that no other call has
-- ARGV[7]      the most data fields that a session may have
-- ARGV[8]      the most bytes that its data fields and values may have
-- ARGV[9]      n, the number of following arguments that are fields to write and their values
-- ARGV[10..*]  n/2 pairs of field and value to write on top of the session's data, then the fields to remove
-- Returns      {OK, fields and values of the data with the body's on top}, or {FOREIGN} when it is another user's, or
--              {ELSEWHERE, partition}, or {MISSING or STALE}, or {TOO_LARGE, number of data fields, their bytes}; unless
--              OK, nothing is changed
local key, handle, token, now, grace = KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local id, call = ARGV[5], ARGV[6]
local most_fields, most_bytes, n = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local FIRST = 10

local session, fields = read_session(key)
local status = status_of(session, token, now)
local is_taken_again = session.closed and is_session(session) and is_usable(fit_of(session, token, now))
  and session.closed_for == id and now <= session.closed + REPEATABLE
if not is_taken_again then
  if not is_usable(status) then
    return { status == 'CLOSED' and 'MISSING' or status, session.to }
  end
  if session.id ~= '' and session.id ~= id then
    return { 'FOREIGN' }
  end
end

local data, _, bytes = write_data(fields, ARGV, FIRST, n, false)
if #data / 2 > most_fields or bytes > most_bytes then
  return { 'TOO_LARGE', #data / 2, bytes }
end
if is_taken_again then
  if not session.closing:find(call, 1, true) then
    -- Each of the calls may be refused. The session is only opened again if all are.
    redis.call('HSET', key, 'closing', session.closing .. call)
  end
  return { 'OK', data }
end

local index = index_of(KEYS)
local users = users_without_session(index, { [session.id] = 1 }, { [ids_member(session.id, handle)] = true })
-- Without a grace, nobody sees the session any more, not even within this second, whatever the caller's clock.
session.closed_until = tonumber(grace) > 0 and now + grace or 0
session.closed = now
redis.call('HSET', key, 'closed', now, 'closed_for', id, 'closing', call, 'closed_until', session.closed_until)
redis.call('ZADD', index.expiry, kept_until(session), expiry_member(handle, session.id))
redis.call('ZREM', index.recent, handle)
if users[1] then
  redis.call('ZREM', index.users, unpack(users))
end
-- The hash of a session whose token the caller chose is kept until it would have ended: its token stays taken.
local kept = session.claim and math.max(kept_until(session), expires_at(session)) or kept_until(session)
redis.call('EXPIRE', key, kept - now + LINGER)
return { 'OK', data }
