/**
 * The logs, in Lua. A log is a list of records in the order of their revisions: of all that Redis has it takes the least memory, and is
 * the cheapest to append to. What is asked by revision is found by halving.
 */
export const logFunctions = `
local function revision_of(record) return tonumber((string.match(record, '^%[(%d+)'))) end
-- The place of the first record from this revision on.
local function place_of(key, revision)
  local low, high = 0, redis.call('LLEN', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if revision_of(redis.call('LINDEX', key, middle)) < revision then low = middle + 1 else high = middle end
  end
  return low
end
-- Keeps so many records, none of them from before a revision.
local function trim(key, count, oldest)
  if count < 1 then return redis.call('DEL', key) end
  redis.call('LTRIM', key, -count, -1)
  local first = redis.call('LINDEX', key, 0)
  if first and revision_of(first) < oldest then redis.call('LTRIM', key, place_of(key, oldest), -1) end
end
`;

/**
 * When a log goes by itself, in Lua: Redis lets go of it once all that it holds is older than is kept, so that a scope at rest is its entries alone.
 * Its end is put off so seldom that most commits need no call for it: it is some twice as far as it must be. When the last batch came is known by
 * until when it could: that is no earlier, and half a minute later.
 */
export const logEndFunctions = `
local function is_later(life, before, age) return not before or math.floor(life * 2 / age) ~= math.floor(before * 2 / age) end
local function end_log(key, age)
  -- Ages of centuries are no instant to Redis.
  if age > 1e13 then call('PERSIST', key) else call('PEXPIREAT', key, int(now - offset + age * 2 + 60000)) end
end
`;

/**
 * What a record says of a commit, in Lua, as it was sent: not thrice what a manager is called, which is its commits' origin, the beginning of
 * their ids, and the writer; and nothing more than the rest of the id where that is all there is.
 */
export const aboutFunction = `
local function about_of(text, writer)
  local first = string.byte(text)
  if first == 46 then return '"' .. writer .. '",["' .. text .. '"],0,null' end
  if first == 91 then return '"' .. writer .. '",' .. text end
  return text
end
`;

/**
 * The record of a scope's first commit, in Lua, made of its entries: as long as a second one has written nothing, it is not kept beside them. Each
 * entry has its place in the record before its text, see {@link "./keys.js"}.
 */
export const firstRecordFunction = `
local function first_record(key, revision, time)
  local writer, about, known = unpack(redis.call('HMGET', key, '"w', '"i', '"r'))
  local fields, changes = redis.call('HGETALL', key), {}
  for i = 1, #fields, 2 do
    local name, raw = fields[i], fields[i + 1]
    if string.byte(name) ~= 34 then
      changes[string.byte(raw) - 64] = '[' .. cjson.encode(name) .. ',' .. cjson.encode(string.sub(raw, 2)) .. ']'
    end
  end
  known = known or about_of(about, string.match(writer, '^(.*)\\n%d+\\n%d+$'))
  return '[' .. revision .. ',0,' .. time .. ',' .. known .. ',[' .. table.concat(changes, ',') .. ']]', known
end
`;
