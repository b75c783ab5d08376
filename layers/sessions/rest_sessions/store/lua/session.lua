-- Reads the hash under a handle, and decides what a caller finds there.
-- A call of Redis takes longer than the rest of most scripts, and converting a number takes longer than passing its
-- text on. So scripts make few calls and keep texts as they are. Times are texts or numbers of seconds: arithmetic
-- takes both, but `<` does not.
--
-- Each script begins by reading the epoch of its partition, false for none. A session has the epoch in which it was
-- created, and is alive only in that one.

-- Redis drops a hash this many seconds after the session's expiry time. So a live session never vanishes, although the
-- clocks of the callers differ a little.
local LINGER = 60

-- A pointer is kept this many seconds longer than its session's timeouts: until the longest grace of a rotation is over.
local POINTER_LINGER = 360

-- The same login, the same create with a caller's own token, or the same killall is recognised for this many seconds.
local REPEATABLE = 60

-- The reply of a script that changes nothing. Redis counts GETEX as a write. So a demoted primary, which may lack the
-- latest session or epoch, refuses the script all the same. It comes last: after a write, a full Redis refuses no command.
local function unchanged(keys, reply)
  redis.call('GETEX', keys[1])
  return reply
end

-- Runs a command that reads the hash at `key`. A key of another type reads as no hash: one damaged key must not fail a
-- whole listing. Any other error is raised.
local function read_hash(command, key, ...)
  local reply = redis.pcall(command, key, ...)
  if not reply.err then
    return reply
  end
  -- fakeredis has no string there.
  if not tostring(reply.err):find('WRONGTYPE', 1, true) then
    redis.call(command, key, ...)
  end
  return {}
end

-- The hash as a table, and the list of fields and values that it was made from. `is_ended` tells that a killall has
-- ended the session.
local function read_session(key, epoch)
  local fields = read_hash('HGETALL', key)
  -- Names some fields only to make room for them: a table that grows takes as long as reading the hash.
  local session = {
    id = nil, ip = nil, r = nil, w = nil, ttl = nil, used = nil, created = nil, token = nil, epoch = nil, is_ended = nil,
  }
  for i = 1, #fields, 2 do
    session[fields[i]] = fields[i + 1]
  end
  session.is_ended = session.epoch ~= epoch
  return session, fields
end

local function has_passed(time, now)
  return now - time > 0
end

-- Whether the table is a session that lost no field, and not a pointer, a mark or nothing.
local function is_session(session)
  return session.id and session.ip and session.r and session.w and session.ttl and session.used and session.created
    and session.token and session.epoch and (not session.closed or session.closed_until) and true
end

-- Whether the table is a pointer that lost no field: its session is in another partition.
local function is_pointer(pointer)
  return pointer.to and pointer.to:find('^[0-9a-f]$') and pointer.token and pointer.ttl and pointer.used and true
end

-- When a session or a pointer expires: at the earlier of its idle timeout and its fixed end. `used` takes the place of
-- the time of its last use.
local function expires_at(session, used)
  local idle_end = (used or session.used) + session.ttl
  return session.ends and math.min(idle_end, session.ends) or idle_end
end

-- Until when a session is kept: a closed one for the requests under way, and for the same login once more.
local function kept_until(session)
  return session.closed and math.max(session.closed_until, session.closed + REPEATABLE) or expires_at(session)
end

-- Whether a login that has closed the session, which is still kept, may be refused and open it again. If `call` itself
-- has taken its data, that does not matter: its success closes the session for good. `call` is '' for one that takes no
-- data.
local function may_be_reopened(session, call)
  local is_taker = call ~= '' and session.closing and session.closing:find(call, 1, true)
  return not is_taker and not session.closed_for_good
end

-- Whether there is a session that nothing has ended, that no login has closed, and whose expiry time has not passed.
local function is_alive(session, now)
  return is_session(session) and not session.is_ended and not session.closed
    and not has_passed(expires_at(session), now)
end

-- Whether `token` is the session's own: OK, or ROTATED for the token before the last rotation; STALE when the grace of
-- that one is over; else MISSING.
local function fit_of(session, token, now)
  if token == session.token then
    return 'OK'
  end
  if token ~= session.old_token then
    return 'MISSING'
  end
  return session.grace_ends and has_passed(session.grace_ends, now) and 'STALE' or 'ROTATED'
end

-- Whether the status lets the caller use the session.
local function is_usable(status)
  return status == 'OK' or status == 'ROTATED'
end

-- What the caller with `token` finds: OK or ROTATED for a session that is alive, CLOSED for one that a login has closed
-- and that is still shown, ELSEWHERE for a pointer; STALE or MISSING.
local function status_of(session, token, now)
  if session.to and is_pointer(session) then
    return token == session.token and 'ELSEWHERE' or 'MISSING'
  end
  if session.is_ended or not is_session(session) then
    return 'MISSING'
  end
  local fit = fit_of(session, token, now)
  if session.closed then
    return is_usable(fit) and not has_passed(session.closed_until, now) and 'CLOSED' or 'MISSING'
  end
  return has_passed(expires_at(session), now) and 'MISSING' or fit
end

-- Whether a caller's own token is taken: by a session, by a pointer, or by a session that was killed before its time.
local function is_taken(earlier, now)
  if earlier.killed then
    return not has_passed(earlier.killed, now)
  end
  if is_pointer(earlier) then
    -- After a rotation the new token, which needs no pointer, may use the session while the old one is in its grace.
    return not has_passed(expires_at(earlier) + (earlier.rotated and POINTER_LINGER or 0), now)
  end
  return is_session(earlier) and not has_passed(math.max(expires_at(earlier), kept_until(earlier)), now)
end
