-- Reads what many sessions are judged by, without their data and all else.
-- include: session.lua

-- What decides whether a session is alive, or what becomes of it.
local STATE = {
  'id', 'epoch', 'ttl', 'used', 'ends', 'closed', 'closed_until', 'closing', 'closed_for_good', 'claim', 'to', 'killed',
}

-- STATE of the hash as a table like that of read_session.
local function read_state(key, epoch)
  local values = read_hash('HMGET', key, unpack(STATE))
  local session = {}
  for i, field in ipairs(STATE) do
    session[field] = values[i] or nil
  end
  session.is_ended = session.epoch ~= epoch
  return session
end

-- Whether the session is alive or, if a login has closed it, still kept.
local function is_kept(session, now)
  return session.id and session.ttl and session.used and not session.is_ended
    and (not session.closed or session.closed_until) and not has_passed(kept_until(session), now)
end
