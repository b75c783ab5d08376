-- Ends sessions, and replaces what is left of them.
-- include: session.lua
-- include: index.lua
-- include: record.lua

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

-- Makes a mark of the session if the caller chose its token, until it would have ended, so that a late create with the
-- same token revives nothing. Returns whether it did.
local function leave_mark(key, session, now)
  if not (session.claim and session.used and session.ttl) or has_passed(expires_at(session), now) then
    return false
  end
  local expires = expires_at(session)
  replace_hash(key, { 'killed', expires })
  redis.call('EXPIRE', key, expires - now + LINGER)
  return true
end

-- Removes the hash of a session, but for its mark.
local function remove_hash(key, session, now)
  if not leave_mark(key, session, now) then
    redis.call('UNLINK', key)
  end
end

-- The sessions of one partition that a script ends: the keys of their hashes, their members in the index, and how many
-- each user has among them.
local function new_batch()
  return { hashes = {}, ids = {}, expiry = {}, recent = {}, is_removed = {}, counts = {} }
end

-- Adds what an index entry of the user `owner` leads to. If the handle was used again, the hash is another's, and only
-- the entry goes. Returns whether the hash is the owner's, or gone.
local function add_to_batch(batch, key, handle, owner, session, now)
  local member = ids_member(owner, handle)
  batch.ids[#batch.ids + 1] = member
  batch.expiry[#batch.expiry + 1] = expiry_member(handle, owner)
  batch.is_removed[member] = true
  batch.counts[owner] = (batch.counts[owner] or 0) + 1
  local is_of_another = session.id and session.id ~= owner
  if not is_of_another then
    batch.recent[#batch.recent + 1] = handle
  end
  if is_of_another or session.to or session.killed then
    return false
  end
  if not leave_mark(key, session, now) then
    batch.hashes[#batch.hashes + 1] = key
  end
  return true
end

-- Ends the sessions of a batch, and removes the users who then have none. All reads come before the first write, and
-- each key is written once. While a slot moves to another node of a cluster, a key that lost its last member is gone,
-- and a script that uses it again is aborted.
local function end_batch(keys, batch)
  local _, ids, users, recent, expiry, closed = unpack(keys, 1, 6)
  local users_gone = {}
  for id, count in pairs(batch.counts) do
    if id ~= '' and not has_another_session(ids, recent, id, batch.is_removed, count) then
      users_gone[#users_gone + 1] = id
    end
  end
  local function remove(key, members)
    if members[1] then
      redis.call('ZREM', key, unpack(members))
    end
  end
  if batch.hashes[1] then
    redis.call('UNLINK', unpack(batch.hashes))
  end
  remove(ids, batch.ids)
  remove(expiry, batch.expiry)
  remove(closed, batch.expiry)
  remove(recent, batch.recent)
  remove(users, users_gone)
end
