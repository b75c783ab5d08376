-- Merges data.
-- include: record.lua

-- Writes data into `fields`, a list of the fields and values of a hash. From `args[first]` on come `n` arguments that
-- are fields to write and their values, then `m` fields to remove; `replaces` removes all that are not written.
-- Returns how many data fields the list has then, the bytes of these and their values, and a list of the removed fields.
local function write_data(fields, args, first, n, m, replaces)
  local written, is_removed, removed = {}, {}, {}
  for i = first, first + n - 1, 2 do
    written[args[i]] = args[i + 1]
  end
  for i = first + n, first + n + m - 1 do
    is_removed[args[i]] = true
  end
  local count, bytes, last, size = 0, 0, 0, #fields
  for i = 1, size, 2 do
    local field, value = fields[i], fields[i + 1]
    if is_datum(field) then
      if written[field] then
        value, written[field] = written[field], nil
      elseif replaces or is_removed[field] then
        value = nil
        removed[#removed + 1] = field
      end
      if value then
        count, bytes = count + 1, bytes + #field + #value
      end
    end
    if value then
      fields[last + 1], fields[last + 2] = field, value
      last = last + 2
    end
  end
  for i = last + 1, size do
    fields[i] = nil
  end
  for i = first, first + n - 1, 2 do
    local field, value = args[i], args[i + 1]
    if written[field] then
      fields[last + 1], fields[last + 2] = field, value
      last = last + 2
      count, bytes = count + 1, bytes + #field + #value
    end
  end
  return count, bytes, removed
end
