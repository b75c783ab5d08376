-- Closes a session for a login, which takes over its data: the first step of `create` with `from`.
-- The session is then missing for all but `get`, which shows it for a grace. For REPEATABLE seconds the same login may
-- take the data once more, in case that it broke off after this step.
-- include: record.lua
-- include: session.lua
-- include: index.lua
-- include: data.lua
--
-- KEYS[1..5]   epoch, ids, users, recent, expiry
-- KEYS[6]      the session
-- KEYS[7]      closed
-- ARGV[1]      hash of the token
-- ARGV[2]      now, seconds
-- ARGV[3]      grace, seconds
-- ARGV[4]      the id of the user who logs in
-- ARGV[5]      16 characters that no other call has
-- ARGV[6]      the most data fields that a session may have
-- ARGV[7]      the most bytes that its data fields and values may have
-- ARGV[8]      n, the number of following arguments that are fields to write and their values
-- ARGV[9]      m, the number of arguments after these that are fields to remove
-- ARGV[10..*]  n/2 pairs of field and value to write on top of the session's data, then m fields to remove
-- Returns      {OK, fields and values of the data with the body's on top}, or {FOREIGN} when it is another user's, or
--              {ELSEWHERE, partition}, or {MISSING or STALE}, or {TOO_LARGE, number of data fields, their bytes}; unless
--              OK, nothing is changed
local key, token, now, grace = KEYS[6], ARGV[1], ARGV[2], ARGV[3]
local id, call = ARGV[4], ARGV[5]
local most_fields, most_bytes, n, m = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local FIRST = 10

local session, fields = read_session(key, redis.call('GET', KEYS[1]))
local status = status_of(session, token, now)
local is_taken_again = session.closed and is_session(session) and not session.is_ended
  and is_usable(fit_of(session, token, now))
  and session.closing and session.closed_for == id and not has_passed(session.closed + REPEATABLE, now)
if not is_taken_again then
  if not is_usable(status) then
    return unchanged(KEYS, { status == 'CLOSED' and 'MISSING' or status, session.to })
  end
  if session.id ~= '' and session.id ~= id then
    return unchanged(KEYS, { 'FOREIGN' })
  end
end

local count, bytes = write_data(fields, ARGV, FIRST, n, m, false)
if count - most_fields > 0 or bytes - most_bytes > 0 then
  return unchanged(KEYS, { 'TOO_LARGE', count, bytes })
end
local data = {}
for i = 1, #fields, 2 do
  if is_datum(fields[i]) then
    data[#data + 1], data[#data + 2] = fields[i], fields[i + 1]
  end
end
if is_taken_again and session.closing:find(call, 1, true) then
  return unchanged(KEYS, { 'OK', data })
end
if is_taken_again then
  -- Each of the calls may be refused. The session is only opened again if all are.
  redis.call('HSET', key, 'closing', session.closing .. call)
  return { 'OK', data }
end

-- Without a grace, nobody sees the session any more, not even within this second, whatever the caller's clock.
session.closed_until = grace ~= '0' and now + grace or 0
session.closed = now
local handle, kept = handle_of(key), kept_until(session)
-- First, because a full Redis refuses it unless the script has written before, and it must not close what the create
-- that follows cannot replace.
redis.call('HSET', key, 'closed', now, 'closed_for', id, 'closing', call, 'closed_until', session.closed_until)
remove_user(KEYS, handle, session.id)
-- In `closed`, because killall counts those in `expiry`.
redis.call('ZADD', KEYS[7], kept, expiry_member(handle, session.id))
redis.call('ZREM', KEYS[5], expiry_member(handle, session.id))
redis.call('ZREM', KEYS[4], handle)
-- The hash of a session whose token the caller chose is kept until it would have ended: its token stays taken.
redis.call('EXPIRE', key, (session.claim and math.max(kept, expires_at(session)) or kept) - now + LINGER)
return { 'OK', data }
