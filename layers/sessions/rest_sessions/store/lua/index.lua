-- Keeps the sorted sets of a partition in step with its sessions. `keys` are the first keys of each script: the epoch,
-- `ids`, `users`, `recent`, `expiry` and, for scripts that end many sessions, `closed`.
-- include: record.lua

-- Writes the four entries of a session that is alive, last used at `used`.
local function add_to_index(keys, handle, id, used, expires)
  local _, ids, users, recent, expiry = unpack(keys, 1, 5)
  -- The Redis user may lack the right to one of these commands, and Redis undoes nothing. So the entry for the sweep
  -- comes first.
  redis.call('ZADD', expiry, expires, expiry_member(handle, id))
  redis.call('ZADD', ids, '0', ids_member(id, handle))
  if id ~= '' then
    redis.call('ZADD', users, 'GT', used, id)
  end
  redis.call('ZADD', recent, used, handle)
end

-- How many other sessions of a user are looked at for an open one. Closed ones, which come before it only by chance,
-- are few and soon gone.
local OTHERS = 16

-- Whether the user has an open session beside `count` ones that `is_removed`, a set of members of `ids`, may have.
local function has_another_session(ids, recent, id, is_removed, count)
  local first, last = user_range(id)
  local members = redis.call('ZRANGEBYLEX', ids, first, last, 'LIMIT', '0', count + OTHERS)
  if #members == count + OTHERS then
    return true
  end
  for _, member in ipairs(members) do
    -- A session that a login has closed is not in `recent`.
    if not is_removed[member] and redis.call('ZSCORE', recent, member:sub(-HANDLE_LENGTH)) then
      return true
    end
  end
  return false
end

-- Removes the user of a session that is about to be removed or closed, unless the user has another one. A session
-- without a user has the id ''.
local function remove_user(keys, handle, id)
  local _, ids, users, recent = unpack(keys, 1, 4)
  if id ~= '' and not has_another_session(ids, recent, id, { [ids_member(id, handle)] = true }, 1) then
    redis.call('ZREM', users, id)
  end
end

-- Removes the entries that tell whose session has the handle, and its user who then has none.
local function remove_owner(keys, handle, id)
  remove_user(keys, handle, id)
  redis.call('ZREM', keys[2], ids_member(id, handle))
  redis.call('ZREM', keys[5], expiry_member(handle, id))
end

-- Removes one session that is not closed from the index, and its user who then has none.
local function remove_from_index(keys, handle, id)
  remove_owner(keys, handle, id)
  redis.call('ZREM', keys[4], handle)
end
