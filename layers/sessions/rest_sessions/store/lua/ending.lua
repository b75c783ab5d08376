-- Ends sessions, and replaces what is left of them.
-- include: session.lua

-- Makes `fields`, a list of fields and values, all that the hash at `key` has. While a slot moves to another node of a
-- cluster, a script that removes a key and writes it again is aborted, so the key is never removed.
local function replace_hash(key, fields)
  local stays, gone = {}, {}
  for i = 1, #fields, 2 do
    stays[fields[i]] = true
  end
  for _, field in ipairs(read_hash('HKEYS', key)) do
    if not stays[field] then
      gone[#gone + 1] = field
    end
  end
  redis.call('HSET', key, unpack(fields))
  if gone[1] then
    redis.call('HDEL', key, unpack(gone))
  end
end

-- Removes the hash of a session. If the caller chose its token, a mark stays until it would have ended, so that a late
-- create with the same token revives nothing.
local function remove_hash(key, session, now)
  if session.claim and is_session(session) and now <= expires_at(session) then
    replace_hash(key, { 'killed', expires_at(session) })
    redis.call('EXPIRE', key, expires_at(session) - now + LINGER)
  else
    redis.call('UNLINK', key)
  end
end

-- Whether what an index entry of the user `owner` leads to is not that user's session: the handle was used again.
local function is_of_another(session, owner)
  return session.to or session.killed or session.id and session.id ~= owner
end
