/** What is asked of a scope, in Lua: each at one instant of the server's clock. */

// The beginning of each: the clock, the scope's meta, and whether the scope is past its own deadline.
const beginning = `
local H, O, L, F = unpack(KEYS)
local call, fmt, match = redis.call, string.format, string.match
local time, offset = call('TIME'), tonumber(ARGV[1])
local now = time[1] * 1000 + math.floor(time[2] / 1000) + offset
local function int(n) return fmt('%.0f', n) end
local function expires_of(raw) return tonumber((match(raw, '^%d+ %d+ (%d+) '))) end
local meta = call('HMGET', H, '"head', '"deadline', '"seal', '"next', '"events', '"keep')
local head, deadline, next_deadline = meta[1] or '0', tonumber(meta[2]), meta[4] or ''
if deadline and not meta[3] and now >= deadline then
  local latest = deadline
  for _, key in ipairs(call('ZRANGEBYLEX', O, '[!/lock/', '(!/lock0')) do
    latest = math.max(latest, expires_of(call('HGET', H, key)))
  end
  if now >= latest then
    head, next_deadline, meta[5], H, O, L = '0', '', '0', H .. '"', O .. '"', L .. '"'
  end
end
local function is_live(raw)
  local expires = expires_of(raw)
  return expires == 0 or now < expires
end
`;

/** Entries by key: head, clock, next deadline, then each entry or false. */
export const readScript = `${beginning}
local answer = { head, int(now), next_deadline }
for i = 2, #ARGV do
  local raw = call('HGET', H, ARGV[i])
  answer[i + 2] = raw and is_live(raw) and raw or false
end
return answer
`;

/** A page of a listing: head, clock, where the next begins, then keys and entries in turn. */
export const listScript = `${beginning}
local from, to, limit, bytes = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local answer, count, place = { head, int(now), '' }, 0, 0
while true do
  local keys = call('ZRANGEBYLEX', O, '[' .. from, to == '' and '+' or '(' .. to, 'LIMIT', place, 500)
  if #keys == 0 then return answer end
  for i, raw in ipairs(call('HMGET', H, unpack(keys))) do
    if is_live(raw) then
      if count > 0 and (count >= limit or bytes < #raw) then
        answer[3] = keys[i]
        return answer
      end
      count = count + 1
      bytes = bytes - #raw
      answer[#answer + 1] = keys[i]
      answer[#answer + 1] = raw
    end
  end
  place = place + #keys
end
`;

/** A page of a log: its head, the clock, whether more follow, then the records. */
export const logScript = `${beginning}
local after, events, limit, bytes, newest = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local keep = {}
for part in string.gmatch(meta[6] or '', '%S+') do keep[#keep + 1] = tonumber(part) end
local age = keep[events and 4 or 2]
local micros = time[1] * 1000000 + time[2] + offset * 1000
if age then call('ZREMRANGEBYSCORE', L, '-inf', '(' .. int(micros - age * 1000)) end
local answer = { events and (meta[5] or '0') or head, int(now), '0' }
local found = newest and call('ZREVRANGEBYSCORE', L, '+inf', '(' .. after, 'LIMIT', 0, limit)
  or call('ZRANGEBYSCORE', L, '(' .. after, '+inf', 'LIMIT', 0, limit + 1)
local taken = {}
for i, record in ipairs(found) do
  if #taken > 0 and (#taken >= limit or bytes < #record) then
    answer[3] = newest and '0' or '1'
    break
  end
  bytes = bytes - #record
  taken[i] = record
end
for i = 1, #taken do answer[i + 3] = taken[newest and #taken + 1 - i or i] end
return answer
`;

/** Removes a scope; its head stays as a floor for all of its bucket, so that tokens only grow. */
export const dropScript = `
local H, O, X, L, V, W, S, D, F = unpack(KEYS)
local head = tonumber(redis.call('HGET', H, '"head')) or 0
local floor = tonumber(redis.call('GET', F)) or 0
if head > floor then redis.call('SET', F, string.format('%.0f', head)) end
redis.call('DEL', H, O, X, L, V)
redis.call('ZREM', S, ARGV[1])
redis.call('ZREM', D, ARGV[1])
redis.pcall('PUBLISH', ARGV[2], 'wake')
return 1
`;
